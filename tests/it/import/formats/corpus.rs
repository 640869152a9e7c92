//! Whole files against expectations that a person has read. `CAS_IMPORT_CORPUS` names another directory of the same form: `FORMAT/MANIFEST.tsv`,
//! whose first column is a file and whose last one says `read`, or `beside` for what only stands beside one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cas::config::import::Material;

use super::{FORMATS, Texts, environment};
use crate::import::render_formats::rendered;

fn roots() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import");
    [own].into_iter().chain(std::env::var_os("CAS_IMPORT_CORPUS").map(PathBuf::from)).collect()
}

/// The files of a format that are translated, and those that stand beside them.
pub(super) fn manifest(format: &str) -> Vec<(PathBuf, bool)> {
    let mut files = Vec::new();
    for root in roots() {
        let directory = root.join(format);
        let Ok(text) = fs::read_to_string(directory.join("MANIFEST.tsv")) else { continue };
        files.extend(text.lines().skip(1).filter_map(|row| {
            let (file, rest) = row.split_once('\t')?;
            Some((directory.join(file), rest.ends_with("read")))
        }));
    }
    files
}

/// The files of its directory, as if they stood in `/shop`.
fn beside(file: &Path) -> Texts {
    let entries = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let texts =
        entries.map(|entry| (Path::new("/shop").join(entry.file_name()), fs::read_to_string(entry.path()).unwrap()));
    Texts(texts.collect())
}

#[test]
fn whole_files_mean_what_their_expectations_say() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (format, _, import) in FORMATS {
        for (file, is_read) in manifest(format) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.len() < 100_000, "{}", file.display());
            if !is_read {
                continue;
            }
            count += 1;
            let name = file.file_name().unwrap();
            let at = Path::new("/shop").join(name);
            let material = Material { file: &at, text: &text, environment: &environment(), files: &beside(&file) };
            let is = rendered(&import(&material), Path::new("/shop"));
            let expected = file.with_file_name(format!("{}.expected", name.to_string_lossy()));
            if std::env::var_os("CAS_WRITE_EXPECTED").is_some() {
                fs::write(&expected, &is).unwrap();
            }
            if fs::read_to_string(&expected).unwrap_or_default() != is {
                wrong.push(format!("{}:\n{is}", expected.display()));
            }
        }
    }
    assert!(count >= FORMATS.len(), "{count} files only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
