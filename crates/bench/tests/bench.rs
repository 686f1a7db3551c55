//! Promise: what is measured is checked, compared and told, and nothing of it is left behind.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pwalk_bench::{Error, Method, Operation, Options, Running, Sample, Step, Watcher, html, run, write};
use pwalk_engine::Silent;
use pwalk_testkit::TempTree;

/// A tree with two components and a file beside them.
fn tree() -> (TempTree, Options) {
    let tree = TempTree::new();
    let source = tree.path().join("source");
    for name in ["a/one", "a/deep/two", "b/three", "four"] {
        let path = source.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![7; 5000]).unwrap();
    }
    std::fs::create_dir(tree.path().join("target")).unwrap();
    let options = Options {
        iterations: 2,
        target: Some(tree.path().join("target")),
        ..Options::new(Operation::All, source.as_os_str().as_bytes().to_vec())
    };
    (tree, options)
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn everything_is_measured_and_nothing_is_left() {
    let (tree, options) = tree();
    let options = Options { components: Some(vec![b"a".to_vec(), b"b".to_vec()]), ..options };
    let results = run(&options, &Silent).unwrap();
    assert!(results.is_complete(), "{results:?}");
    assert!(is_empty(&tree.path().join("target")));
    let operations: Vec<_> = results.sections.iter().map(|section| section.operation).collect();
    assert_eq!(operations, ["traversal", "copy_strategies", "parallel_workers", "pipeline"]);
    let [traversal, copies, workers, pipeline] = results.sections.as_slice() else { panic!("{operations:?}") };
    assert!(traversal.methods.iter().all(|row| row.file_count == 8), "{traversal:?}");
    for (section, files, dirs) in [(copies, 4, 3), (workers, 4, 3), (pipeline, 3, 3)] {
        assert_eq!((section.files, section.directories, section.bytes), (files, dirs, files * 5000));
        let copied = section.methods.iter().map(|row| (row.file_count, row.total_size));
        assert!(copied.clone().all(|copied| copied == (files, files * 5000)), "{section:?}");
    }
    let names =
        |section: &pwalk_bench::Section| section.methods.iter().map(|row| row.method.clone()).collect::<Vec<_>>();
    assert_eq!(names(copies), ["baseline", "auto", "buffered", "sendfile", "parallel", "pipeline"]);
    let counts = ["parallel-1", "parallel-2", "parallel-4", "parallel-8", "parallel-16"];
    assert_eq!(names(workers), [&["baseline"], &counts[..]].concat());
    assert_eq!(names(pipeline), ["baseline", "auto", "pipeline"]);
    for row in results.sections.iter().flat_map(|section| &section.methods) {
        assert_eq!(row.durations.len(), 2);
        assert!(row.min <= row.duration && row.duration <= row.max && row.ratio.is_some(), "{row:?}");
        assert!(row.peak_memory.is_some_and(|bytes| bytes > 100_000), "{row:?}");
    }
}

/// A way of walking that counts how often it is run, and may fail.
struct Own {
    runs: AtomicUsize,
    why: Option<&'static str>,
}

impl Method for Own {
    fn name(&self) -> &str {
        "<own> & \"odd\""
    }

    fn description(&self) -> &str {
        "a method of the caller's"
    }

    fn baseline(&self) -> Option<&str> {
        Some("readdir")
    }

    fn run(&self, _: &Running<'_>) -> Sample {
        self.runs.fetch_add(1, Relaxed);
        Sample { count: 8, errors: self.why.into_iter().map(str::to_owned).collect(), ..Sample::default() }
    }
}

fn own(why: Option<&'static str>) -> Arc<Own> {
    Arc::new(Own { runs: AtomicUsize::new(0), why })
}

#[test]
fn methods_of_the_caller_are_measured_with_the_others() {
    let (_tree, options) = tree();
    let (good, bad) = (own(None), own(Some("it is <broken>")));
    let walks: Vec<Arc<dyn Method>> = vec![Arc::clone(&good) as _, Arc::clone(&bad) as _];
    let results = run(&Options { operation: Operation::Traversal, walks, ..options }, &Silent).unwrap();
    assert_eq!((good.runs.load(Relaxed), bad.runs.load(Relaxed)), (3, 1), "what failed is not run again");
    assert!(!results.is_complete());
    let rows = &results.sections[0].methods;
    let [measured, failed] = &rows[rows.len() - 2..] else { panic!("{rows:?}") };
    assert!(measured.duration.is_some() && measured.ratio.is_some() && !measured.failed);
    assert!(failed.failed && failed.duration.is_none() && failed.speed_summary.contains("FAILED: it is <broken>"));
    let page = html(&results);
    assert!(page.contains("&lt;own&gt; &amp; &quot;odd&quot;") && page.contains("it is &lt;broken&gt;"));
    assert!(!page.contains("<own>") && !page.contains("<broken>"));
}

/// Notes in which order methods are run, and stops when it is told to.
struct Order {
    seen: Mutex<Vec<(String, u32)>>,
    stop: Option<pwalk_engine::Cancel>,
}

impl Watcher for Order {
    fn tick(&self, step: &Step) {
        let mut seen = self.seen.lock().unwrap();
        let now = (step.method.clone(), step.round);
        if step.method != "counting the tree" && seen.last() != Some(&now) {
            seen.push(now);
        }
        if let Some(stop) = self.stop.as_ref().filter(|_| seen.len() == 4) {
            stop.cancel();
        }
    }
}

#[test]
fn methods_take_turns() {
    let (_tree, options) = tree();
    let order = Order { seen: Mutex::default(), stop: None };
    run(&Options { operation: Operation::Pipeline, ..options }, &order).unwrap();
    let round = |n| ["baseline", "auto", "pipeline"].map(|name| (name.to_owned(), n));
    assert_eq!(*order.seen.lock().unwrap(), [round(0), round(1), round(2)].concat());
}

#[test]
fn stopped_it_hands_back_what_it_has_and_removes_the_copies() {
    let (tree, options) = tree();
    let order = Order { seen: Mutex::default(), stop: Some(options.cancel.clone()) };
    let results = run(&Options { operation: Operation::CopyStrategies, ..options }, &order).unwrap();
    assert!(results.interrupted && !results.is_complete());
    assert!(results.sections[0].methods.iter().all(|row| row.errors.is_empty()), "{results:?}");
    assert!(is_empty(&tree.path().join("target")));
}

#[test]
fn files_have_the_results() {
    let (tree, options) = tree();
    let results = run(&Options { operation: Operation::CopyStrategies, iterations: 1, ..options }, &Silent).unwrap();
    let written = write(&results, &tree.path().join("target")).unwrap();
    let json = std::fs::read_to_string(&written.json).unwrap();
    assert!(json.contains("\"operation\": \"copy_strategies\"") && json.ends_with("}\n"));
    assert_eq!(std::fs::read_to_string(&written.html).unwrap(), html(&results));
    assert_eq!(std::fs::read_dir(tree.path().join("target")).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_made() {
    let (tree, options) = tree();
    let refused = |options: Options| run(&options, &Silent).unwrap_err();
    let of = |operation, path: &Path| Options {
        operation,
        path: path.as_os_str().as_bytes().to_vec(),
        target: options.target.clone(),
        ..options.clone()
    };
    assert!(matches!(refused(of(Operation::All, &tree.path().join("none"))), Error::Path { .. }));
    let file = tree.path().join("source/four");
    assert!(matches!(refused(of(Operation::Traversal, &file)), Error::NotDirectory(_)));
    assert!(run(&of(Operation::CopyStrategies, &file), &Silent).unwrap().is_complete(), "a file can be copied");
    for bad in ["four", "none", "a/deep", "..", ""] {
        let components = Some(vec![bad.as_bytes().to_vec()]);
        assert!(matches!(refused(Options { components, ..options.clone() }), Error::Component(_)), "{bad}");
    }
    let within = refused(Options { target: Some(tree.path().join("source/a")), ..options.clone() });
    assert!(matches!(within, Error::Target { .. }), "{within}");
    let nowhere = refused(Options { target: Some(tree.path().join("none")), ..options.clone() });
    assert!(matches!(nowhere, Error::Target { .. }), "{nowhere}");
    assert!(is_empty(&tree.path().join("target")));
}
