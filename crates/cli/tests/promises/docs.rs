//! Promise: completions and manual pages come with the program.

use pwalk_testkit::TempTree;

use crate::common::{names, oracle, pwalk, run};

#[test]
fn completions_are_what_their_shells_read() {
    let place = TempTree::new();
    for (shell, names_options) in
        [("bash", "--include-snapshots"), ("zsh", "--include-snapshots"), ("fish", "include-snapshots")]
    {
        let ran = run(&mut pwalk(["completions", shell])).expect(0);
        assert!(ran.text().contains("pwalk") && ran.text().contains(names_options), "{shell}");
        assert_eq!(ran.stderr, "");
        if shell == "bash" {
            let file = place.path().join(shell);
            std::fs::write(&file, &ran.stdout).unwrap();
            oracle(shell, [std::path::Path::new("-n"), &file]);
        }
    }
    let ran = run(&mut pwalk(["completions", "sh"])).expect(2);
    assert!(ran.stderr.contains("bash"), "{}", ran.stderr);
}

#[test]
fn manual_pages_are_written_for_all_commands() {
    let place = TempTree::new();
    let directory = place.path().join("man/man1");
    run(pwalk(["man"]).arg(&directory)).expect(0);
    let pages = names(&directory);
    for page in [
        "pwalk.1",
        "pwalk-report.1",
        "pwalk-walk.1",
        "pwalk-find.1",
        "pwalk-repair.1",
        "pwalk-copy.1",
        "pwalk-bench.1",
        "pwalk-diff.1",
        "pwalk-completions.1",
        "pwalk-man.1",
        "pfind.1",
    ] {
        assert!(pages.iter().any(|p| p == page), "{page} in {pages:?}");
    }
    let report = std::fs::read_to_string(directory.join("pwalk-report.1")).unwrap();
    for word in [".TH", "include\\-snapshots", "Exit codes"] {
        assert!(report.contains(word), "{word}");
    }
    let ran = run(&mut pwalk(["man"])).expect(0);
    assert!(ran.text().contains(".TH pwalk 1"));
    let ran = run(&mut pwalk(["man", "/dev/null/x"])).expect(3);
    assert!(ran.stderr.contains("/dev/null/x"), "{}", ran.stderr);
}
