//! What does not fit into memory is put aside, and makes no difference.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::fs::{remove_file, rename, write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pwalk_engine::Silent;
use pwalk_scan::Target;
use pwalk_scan::report::{self, ReportOptions};
use pwalk_testkit::TempTree;
use pwalk_track::{DiffOptions, Source, TrackError, json, run};

fn scan(root: &Path, output: &Path) -> Source {
    let roots = vec![root.as_os_str().as_bytes().to_vec()];
    let options = ReportOptions { output: Target::File(output.to_owned()), ..ReportOptions::new(roots) };
    report::run(&options, &Silent).unwrap();
    Source::Scan(output.to_owned())
}

fn changes(options: &DiffOptions) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |change: &pwalk_track::Change<'_>| {
        told.push(json(change).to_string());
        Ok(())
    };
    run(options, &mut tell, &Silent).unwrap();
    told
}

#[test]
fn with_little_memory_the_same_changes_are_told() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    for dir in 0..120 {
        let dir = root.join(format!("dir{dir}"));
        std::fs::create_dir(&dir).unwrap();
        (0..80).for_each(|file| write(dir.join(format!("file {file}")), "old").unwrap());
    }
    let old = scan(&root, &place.path().join("old.parquet"));
    for dir in 0..120 {
        let at = |name: String| root.join(format!("dir{dir}")).join(name);
        for file in (dir % 7..80).step_by(3) {
            let path = at(format!("file {file}"));
            match file % 4 {
                0 => remove_file(path).unwrap(),
                1 => write(path, "other").unwrap(),
                2 => rename(path, at(format!("moved {file}"))).unwrap(),
                _ => write(at(format!("new {file}")), "new").unwrap(),
            }
        }
    }
    rename(root.join("dir7"), root.join("dir8/dir7")).unwrap();
    let new = scan(&root, &place.path().join("new.parquet"));
    let plain = DiffOptions::new(old.clone(), new);
    let expected = changes(&plain);
    assert!(expected.len() > 3000, "{}", expected.len());
    let walked = DiffOptions::new(old, Source::Directory(root.as_os_str().as_bytes().to_vec()));
    for options in [DiffOptions { memory: 1, ..plain.clone() }, DiffOptions { memory: 1, ..walked.clone() }, walked] {
        assert_eq!(changes(&options), expected);
    }
    let nowhere = DiffOptions { memory: 1, temp_dir: Some("/no/such/place".into()), ..plain };
    let error = run(&nowhere, &mut |_| Ok(()), &Silent).unwrap_err();
    assert!(matches!(error, TrackError::Spill { .. }) && error.to_string().contains("/no/such/place"), "{error}");
}
