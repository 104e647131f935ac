//! `--user` and `--group`: root binds the port, then drops its privileges, including its groups.

use std::os::unix::fs::MetadataExt;

use crate::support::{Relay, TempDir, run, send_samples};

fn ids(relay: &Relay, name: &str) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace()
        .skip(1)
        .map(|id| id.parse().unwrap())
        .collect()
}

#[test]
fn root_becomes_the_user_for_good_and_the_relay_works() {
    if !rustix::process::geteuid().is_root() {
        // Without root, no privileges can be dropped, which must be an error.
        let refused = run(&["--anonymous", "127.0.0.1", "--user", "nobody"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("only root"));
        return;
    }
    let dir = TempDir::new();
    // Only root can write to the parent folder, so the state folder must have been created before.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let mut relay = Relay::start(&dir, &["--user", "nobody", "--group", "nogroup"]);
    send_samples(&relay);
    let state = std::fs::metadata(dir.file("state")).unwrap();
    assert_ne!(state.uid(), 0);
    assert_eq!(ids(&relay, "Uid:"), [state.uid(); 4]);
    assert_eq!(ids(&relay, "Gid:"), [state.gid(); 4]);
    assert!(!ids(&relay, "Groups:").contains(&0));
    relay.process.wait_for_log("running as user nobody");
}

#[test]
fn unknown_names_are_refused_before_anything_is_bound() {
    for (flag, name) in [("--user", "no-such-user"), ("--group", "no-such-group")] {
        let refused = run(&["--anonymous", "127.0.0.1", flag, name]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(flag) && said.contains(name), "{said}");
    }
}
