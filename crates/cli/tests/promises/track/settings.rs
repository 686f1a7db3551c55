//! What stands in a file of settings works, or is named.

use std::fs::write;
use std::path::Path;

use pwalk_testkit::{TempTree, without_dac_override};
use serde_json::Value;

use crate::common::{PWALK, json_lines, names, oracle, pwalk, run};

fn ini(place: &Path) -> String {
    let place = place.display();
    format!(
        "[general]\nthreads = 2\ncatalog = {place}/catalog\n[crawler]\ndata_root = {place}/tree\nfingerprint = new\nhash = xxh3\n\
         hash_threads = 1\nmax_bytes_per_sec = 100M\none_file_system = yes\nexclude = *.tmp, /build\ncolour = green\n\
         [metadata]\nsite = north\n[logging]\nlog_root = {place}/logs\nlog_level = debug\n"
    )
}

fn toml(place: &Path) -> String {
    let place = place.display();
    format!(
        "[general]\nthreads = 2\ncatalog = \"{place}/catalog\"\n[crawler]\ndata_root = \"{place}/tree\"\nfingerprint = \"new\"\nhash = \"xxh3\"\n\
         hash_threads = 1\nmax_bytes_per_sec = \"100M\"\none_file_system = true\nexclude = [\"*.tmp\", \"/build\"]\ncolour = \"green\"\n\
         [metadata]\nsite = \"north\"\n[logging]\nlog_root = \"{place}/logs\"\nlog_level = \"debug\"\n"
    )
}

#[test]
fn every_setting_works_in_ini_and_in_toml() {
    for (name, text) in [("track.ini", ini as fn(&Path) -> String), ("track.toml", toml)] {
        let place = TempTree::new();
        let root = place.subdir("tree");
        for file in ["a", "b.tmp", "closed/file"] {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            write(file, "content").unwrap();
        }
        let settings = place.path().join(name);
        write(&settings, text(place.path())).unwrap();
        oracle("chmod", ["000".as_ref(), root.join("closed").as_os_str()]);
        let mut command = without_dac_override(PWALK);
        let ran = run(command.args(["track", "scan", "--json", "--metadata", "by=test", "--config"]).arg(&settings))
            .expect(1);
        assert!(ran.stderr.contains("colour"), "{}", ran.stderr);
        let scan: Value = serde_json::from_str(ran.text()).unwrap();
        assert_eq!(scan["metadata"], serde_json::json!({"site": "north", "by": "test"}));
        assert_eq!(
            (&scan["entries"], &scan["hashed_files"], &scan["errors"]),
            (&3.into(), &1.into(), &1.into()),
            "{scan}"
        );
        assert_eq!(scan["options"]["one-file-system"], true, "{scan}");
        let track = |what: &[&str]| run(pwalk(["track"]).args(what).arg("--config").arg(&settings)).expect(0);
        let entries = json_lines(track(&["ls", "--json", root.to_str().unwrap()]).text());
        assert!(entries[0]["fingerprint"].as_str().unwrap().starts_with("xxh3:"));
        let errors = json_lines(track(&["errors", "--json"]).text());
        assert!(errors.len() == 1 && errors[0]["path"].as_str().unwrap().ends_with("/closed"), "{errors:?}");
        let logs = place.path().join("logs");
        let log = std::fs::read_to_string(logs.join(&names(&logs)[0])).unwrap();
        for part in [" info scan ", " error ", "/closed", " debug {\"change_type\":\"added\"", "PARTIAL: run 1 of "] {
            assert!(log.contains(part), "{part}: {log}");
        }
        // What the command line says counts more.
        oracle("chmod", ["755".as_ref(), root.join("closed").as_os_str()]);
        let ran = run(pwalk(["track", "scan", "-q", "--fingerprint", "none", "--config"]).arg(&settings)).expect(0);
        assert_eq!(ran.text(), "");
        assert_eq!(names(&logs).len(), 2);
        // A run that is refused is in a log too.
        std::fs::rename(&root, place.path().join("aside")).unwrap();
        run(pwalk(["track", "scan", "--config"]).arg(&settings)).expect(3);
        let refused = names(&logs)
            .iter()
            .any(|name| std::fs::read_to_string(logs.join(name)).unwrap().contains("error FAILED: "));
        assert!(refused);
    }
}

#[test]
fn what_cannot_be_set_is_said() {
    let place = TempTree::new();
    let settings = place.path().join("track.toml");
    for (text, why) in [
        ("[crawler]\nfingerprint = \"some\"\n", "fingerprint"),
        ("[general]\nthreads = 0\n", "threads"),
        ("nonsense", "track.toml"),
        ("[general]\ncatalog = \"/a\"\n[postgresql]\nhost = \"h\"\n", "names a catalog and a database"),
    ] {
        write(&settings, text).unwrap();
        let ran = run(pwalk(["track", "scan", "/etc", "--config"]).arg(&settings)).expect(2);
        assert!(ran.stderr.contains(why), "{text}: {}", ran.stderr);
    }
    let ran = run(&mut pwalk(["track", "runs", "--config", "/no/such/file"])).expect(2);
    assert!(ran.stderr.contains("/no/such/file"), "{}", ran.stderr);
    write(&settings, "").unwrap();
    let ran = run(pwalk(["track", "scan", "--config"]).arg(&settings)).expect(2);
    assert!(ran.stderr.contains("data_root"), "{}", ran.stderr);
}
