//! What happens where there are too many templates: the least used are merged with those that look like them, and the rest is counted together.

use std::collections::BTreeMap;

use super::{
    TemplateId,
    bytes::mix,
    regroup::{Merged, merge_pair},
    template::Template,
};

/// Makes room until at most `keep` templates are left: what was merged, and which places are to be given up.
pub(super) fn thin_out(templates: &mut [Option<Template>], keep: usize) -> (Merged, Vec<usize>) {
    let mut order: Vec<(u64, usize)> =
        templates.iter().enumerate().filter_map(|(place, template)| Some((template.as_ref()?.count, place))).collect();
    order.sort_unstable();
    let merged = merge_alike(templates, &order[..order.len() / 2]);
    let left = order.len() - merged.len();
    let alive = order.iter().map(|(_, place)| *place).filter(|place| templates[*place].is_some());
    let given_up = alive.take(left.saturating_sub(keep)).collect();
    (merged, given_up)
}

/// Merges templates of one shape with the same first text, whatever else is in them.
fn merge_alike(templates: &mut [Option<Template>], least: &[(u64, usize)]) -> Merged {
    let mut alike: BTreeMap<u64, Vec<(TemplateId, usize)>> = BTreeMap::new();
    for (_, place) in least {
        let Some(template) = &templates[*place] else { continue };
        let first = template.tokens.iter().find(|token| token.is_text()).map_or(0, |token| token.hash);
        alike.entry(mix(template.shape, first)).or_default().push((template.id, *place));
    }
    let mut merged = Merged::new();
    for mut places in alike.into_values() {
        places.sort_unstable();
        let survivor = places[0].1;
        for (_, place) in &places[1..] {
            merge_pair(templates, *place, survivor);
            merged.push((*place, survivor));
        }
    }
    merged
}
