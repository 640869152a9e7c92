//! Detection: a large repository, and what lies beside it.

use crate::{
    Figure,
    measure::{ms_since, quantile},
};
use cas::{
    config::detect::{Detected, Limits, detect},
    world::clock,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories of a package, each with its manifest and 99 files.
const PACKAGES: usize = 1000;
const RUNS: usize = 9;

/// `count` files in a directory, of which all but the first are links to it: they cost no inode.
fn fill(directory: &Path, count: usize, end: &str) {
    fs::create_dir_all(directory).expect("a directory can be made");
    let first = directory.join(format!("part0.{end}"));
    fs::write(&first, "export const part = process.env.PART_OF_IT || 'none';\n".repeat(40))
        .expect("a file can be written");
    for number in 1..count {
        fs::hard_link(&first, directory.join(format!("part{number}.{end}"))).expect("a link can be made");
    }
}

/// 100,000 files in 1,000 packages of four kinds.
fn repository(root: &Path) {
    for number in 0..PACKAGES {
        let package = root.join(format!("group{}/package{number}", number % 20));
        let (end, name, text) = match number % 4 {
            0 => (
                "ts",
                "package.json",
                format!("{{\"name\": \"p{number}\", \"scripts\": {{\"dev\": \"vite\", \"build\": \"vite build\"}}}}"),
            ),
            1 => ("py", "requirements.txt", "fastapi\nrequests\n".to_owned()),
            2 => ("rs", "Cargo.toml", format!("[package]\nname = \"p{number}\"\n")),
            _ => ("go", "go.mod", format!("module example.org/p{number}\n")),
        };
        fill(&package.join("src"), 99, end);
        fs::write(package.join(name), text).expect("a file can be written");
    }
}

/// Lists everything, the floor of any search that sees all of it.
fn bare_walk(root: &Path) -> usize {
    let mut waiting: Vec<PathBuf> = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("our own directory").flatten() {
            seen += 1;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    seen
}

fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = clock::now();
            work();
            ms_since(begin)
        })
        .collect();
    quantile(&mut times, 0.5)
}

pub(crate) fn detection() -> Vec<Figure> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    repository(root);
    let seen = std::cell::RefCell::new(Detected::default());
    let search = || *seen.borrow_mut() = detect(root, &Limits::default());
    let alone = median(search);
    let floor = median(|| assert!(bare_walk(root) > 100 * PACKAGES));
    let everything = Limits { entries: 200_000, ..Limits::default() };
    let whole = median(|| *seen.borrow_mut() = detect(root, &everything));
    for number in 0..200 {
        fill(&root.join(format!("node_modules/module{number}")), 1000, "js");
    }
    let beside = median(search);
    let found = seen.borrow();
    println!(
        "  ({} entries looked at, {} services; a bare walk takes {floor:.1} ms)",
        found.visited,
        found.candidates.len()
    );
    vec![
        Figure { name: "detect, 100,000 files, warm, p50", value: alone, unit: "ms", target: 300.0 },
        Figure { name: "detect, 200,000 more in node_modules, p50", value: beside, unit: "ms", target: 300.0 },
        Figure { name: "… all 100,000 looked at, over a bare walk", value: whole / floor, unit: "×", target: 10.0 },
    ]
}
