//! Promise: settings come from a file, the environment and the command line, and who comes later has the last word.

use std::fs::{create_dir_all, write};

use pwalk_testkit::trees::{self, remove_tree};

use super::{Place, done};
use crate::common::run;

#[test]
fn settings_come_from_a_file_the_environment_and_the_command_line_in_this_order() {
    let place = Place::with(trees::hard_links);
    let [toml, yaml, bad] = ["s.toml", "s.yaml", "bad.toml"].map(|name| place.beside(name));
    write(&toml, "copy_strategy = \"sendfile\"\ncopy_buffer_size_kb = 64\ncopy_max_workers = 1\n").unwrap();
    write(&yaml, "copy_strategy: pipeline\ncopy_buffer_size_kb: 8\ncopy_max_workers: 3\n").unwrap();
    write(&bad, "copy_strategy = \"magic\"\n").unwrap();
    let home = place.beside("home");
    create_dir_all(home.join(".config/pwalk")).unwrap();
    std::fs::copy(&yaml, home.join(".config/pwalk/config.yaml")).unwrap();
    let (toml, yaml, home) = (toml.to_str().unwrap(), yaml.to_str().unwrap(), home.to_str().unwrap());
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Variables<'_>, &[&str], &str); 9] = [
        (&[], &[], "auto"),
        (&[], &["--config", toml], "sendfile"),
        (&[], &["--config", yaml], "pipeline"),
        (&[("PWALK_CONFIG", toml)], &[], "sendfile"),
        (&[("HOME", home)], &[], "pipeline"),
        (&[("PWALK_CONFIG", toml)], &["--config", yaml], "pipeline"),
        (&[("PWALK_CONFIG", toml), ("PWALK_COPY_STRATEGY", "buffered")], &[], "buffered"),
        (&[("PWALK_COPY_STRATEGY", "buffered")], &["--config", toml], "buffered"),
        (&[("PWALK_COPY_STRATEGY", "buffered")], &["--config", toml, "--strategy", "baseline"], "baseline"),
    ];
    let target = place.beside("target");
    let copy = |variables: Variables<'_>, options: &[&str]| {
        let mut command = crate::common::pwalk(["copy", "-T", "--json"]);
        command.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME");
        run(command.envs(variables.iter().copied()).args(options).arg(&place.source).arg(&target))
    };
    for (variables, options, strategy) in cases {
        let done = done(&copy(variables, options).expect(0));
        assert_eq!(done["strategy"], strategy, "{variables:?} {options:?}");
        assert!(strategy != "sendfile" || done["workers"] == 1, "{done}");
        remove_tree(&target).unwrap();
    }
    for (variables, says) in [
        (&[("PWALK_CONFIG", bad.to_str().unwrap())], "magic"),
        (&[("PWALK_COPY_BUFFER_SIZE_KB", "1")], "copy_buffer_size_kb"),
        (&[("PWALK_COPY_MAX_WORKERS", "0")], "copy_max_workers"),
        (&[("PWALK_COPY_MAX_WORKERS", "many")], "copy_max_workers"),
    ] {
        let ran = copy(variables, &[]).expect(2);
        assert!(ran.stderr.contains(says) && !target.exists(), "{}", ran.stderr);
    }
}
