//! A killed run was not: the next one is right.

use std::time::Instant;

use pwalk_testkit::{Random, TempTree};
use rustix::process::Signal;

use super::Kept;
use crate::common::{Running, json_lines};
use crate::diff::model::{changes, look};
use crate::diff::random::assert_same;
use crate::diff::told;
use crate::forest::Forest;

#[test]
fn fifty_kills_lose_nothing_and_double_nothing() {
    let place = TempTree::new();
    let kept = Kept::local(place.path().join("catalog"));
    fifty_kills(&place, &kept);
    // What the killed ones left is gone with the next that is not.
    let names = std::fs::read_dir(place.path().join("catalog/1/state")).unwrap();
    assert!(names.count() < 24, "files are left");
}

/// Kills scans at random moments, and sees that the next one is right.
pub(super) fn fifty_kills(place: &TempTree, kept: &Kept) {
    let root = place.subdir("tree");
    for dir in 0..200 {
        let dir = root.join(format!("dir {dir}"));
        std::fs::create_dir(&dir).unwrap();
        (0..20).for_each(|file| std::fs::write(dir.join(file.to_string()), "some content").unwrap());
    }
    let begun = Instant::now();
    kept.run("scan", ["--fingerprint".as_ref(), "new".as_ref(), root.as_os_str()]).expect(0);
    // Within which it is killed: the machine may be busier or less so later on.
    let mut window = begun.elapsed();
    let (mut forest, mut random) = (Forest::new(&root, 7), Random::new(8));
    let (mut killed, mut rounds) = (0, 0);
    let mut before = look(&root);
    while killed < 50 {
        rounds += 1;
        assert!(rounds < 400, "only {killed} were killed before their end");
        forest.changes(30);
        let runs = json_lines(kept.run("runs", ["--json"]).expect(0).text()).len();
        let mut running = Running::start(kept.command("scan").args(["-q", "--fingerprint", "new"]).arg(&root));
        std::thread::sleep(window.mul_f64(random.below(1000) as f64 / 1000.0));
        running.signal(Signal::KILL);
        let was_killed = running.output().status.code().is_none();
        killed += u32::from(was_killed);
        window = window.mul_f64(if was_killed { 1.05 } else { 0.8 });
        // It may have published just before; then that is what the next begins with.
        let after = look(&root);
        let now = json_lines(kept.run("runs", ["--json"]).expect(0).text());
        assert!(now.len() == runs || now.len() == runs + 1);
        let expected = changes(&before, &after);
        if now.len() == runs {
            kept.run("scan", ["-q".as_ref(), "--fingerprint".as_ref(), "new".as_ref(), root.as_os_str()]).expect(0);
        }
        let ran = kept.run("changes", ["--json"]).expect(0);
        assert_same(&told(&ran), &expected, 7, rounds);
        if rounds % 10 == 0 {
            assert_eq!(kept.sizes(&root, None).len(), after.len() - 1);
        }
        before = after;
    }
    kept.scan(&root);
}
