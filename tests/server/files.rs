//! Configuration files as people have them, windows, and the published tree.

use super::*;

const WINDOWS: &str = "kind: cluster_maintenance_config\nversion: v1\nmetadata:\n  name: cluster-maintenance-config\nspec:\n  agent_upgrades:\n    utc_start_hour: 10\n    weekdays: [Thursday]\n";

fn checked(name: &str, text: &str) -> (i32, Vec<String>) {
    let file = scratch(name).join("c.yaml");
    fs::write(&file, text).unwrap();
    let (exit, _, said) = run(&["check-config", file.to_str().unwrap()]);
    let mistakes = said.lines().filter_map(|line| Some(line.split_once("c.yaml: ")?.1.to_owned())).collect();
    (exit, mistakes)
}

#[test]
fn a_teleport_yaml_is_taken_as_it_is_and_only_its_channels_are_read() {
    let teleport = "version: v3\nteleport:\n  nodename: proxy\n  data_dir: /var/lib/teleport\n  log: { severity: INFO }\nauth_service:\n  enabled: no\nproxy_service:\n  enabled: yes\n  public_addr: proxy.example.com:443\n  acme: &acme { enabled: true }\n  automatic_upgrades_channels:\n    default:\n      static_version: v14.2.1\n    stable/cloud:\n      static_version: \"v14.2.0\"\n      critical: yes\n    my-remote-channel:\n      forward_url: https://updates.releases.teleport.dev/v1/stable/cloud\nssh_service: *acme\n";
    assert_eq!(checked("teleport", teleport), (0, Vec::new()));
    let server = serving("teleport-served", teleport, &[]);
    assert_eq!((server.body("default/version"), server.body("stable/cloud/version")), ("v14.2.1".into(), "v14.2.0".into()));
    assert_eq!((server.body("x/critical"), server.body("stable/cloud/critical")), ("no".into(), "yes".into()));
}

#[test]
fn every_mistake_is_named_with_its_line_and_key_in_one_go() {
    let text = "cluster_version: 16.4\nautomatic_upgrades_channels:\n  default: { static_version: v16.2, critical: maybe }\n  \"a b\": { static_version: 16.2.0 }\n  both: { static_version: 16.2.0, forward_url: \"https://x/y\" }\n  none: {}\n  fwd: { forward_url: ftp://x, critical: true }\n  typo: { static_verson: 16.2.0 }\n  stable/version: { static_version: 16.2.0 }\nserve_stale_hour: 3\n---\nkind: 클러스터_유지보수_구성\nspec: { agent_upgrades: { utc_start_hour: 24, weekdays: [월요일, Mon] } }\n";
    let channel = "automatic_upgrades_channels";
    let weekdays = "write Monday, Tuesday, Wednesday, Thursday, Friday, Saturday or Sunday, or Mon to Sun, in English";
    let expected = [
        "line 1: cluster_version is \"16.4\": write a version such as 16.2.0".to_owned(),
        format!("line 3: {channel}.default.static_version is \"v16.2\": write a version such as v16.2.0, or none"),
        format!("line 3: {channel}.default.critical is \"maybe\": write true or false"),
        format!(
            "line 4: {channel}.\"a b\" is no name of a channel: write words of letters, digits, `-`, `_`, `.`, `~` and `+`, joined by `/`"
        ),
        format!("line 5: {channel}.both has both `static_version` and `forward_url`: one of them"),
        format!("line 6: {channel}.none has neither `static_version` nor `forward_url`: one of them"),
        format!("line 7: {channel}.fwd.forward_url is \"ftp://x\": write https://HOST[:PORT]/PATH"),
        format!("line 7: {channel}.fwd.critical goes with `static_version` only: the other server says whether its version is"),
        format!("line 8: {channel}.typo.static_verson is no key that is known here: is static_version meant?"),
        format!("line 8: {channel}.typo has neither `static_version` nor `forward_url`: one of them"),
        format!("line 9: {channel}.stable/version is no name of a channel: `version` is a question that channels are asked"),
        "line 10: serve_stale_hour is no key that is known here: is serve_stale_hours meant?".to_owned(),
        "line 12: kind is \"클러스터_유지보수_구성\": write cluster_maintenance_config, in English".to_owned(),
        "line 13: spec.agent_upgrades.utc_start_hour is \"24\": write an hour of the day in UTC, 0 to 23".to_owned(),
        format!("line 13: spec.agent_upgrades.weekdays is \"월요일\": {weekdays}"),
    ];
    assert_eq!(checked("mistakes", text), (78, expected.to_vec()));
}

/// A key stands where it stands, whatever comes between it and its value.
#[test]
fn a_mistake_has_the_line_of_its_key_in_block_style_too() {
    let text = "automatic_upgrades_channels:\n  both:\n    # One of them\n    # is enough.\n    static_version: 16.2.0\n    forward_url: https://a.test/x\n";
    let line = "line 2: automatic_upgrades_channels.both has both `static_version` and `forward_url`: one of them";
    assert_eq!(checked("block", text), (78, vec![line.to_owned()]));
}

#[test]
fn a_key_that_is_meant_for_this_program_is_no_other_programs_in_a_teleport_yaml() {
    let meant = |key: &str| format!("{key} meant?");
    for (n, (text, line)) in [
        (
            "version: v3\ncluster_verison: 16.4.0\n",
            "line 2: cluster_verison is no key that is known here: is cluster_version".to_owned(),
        ),
        (
            "version: v3\ncluster_version: 16.4.0\nautomatic_upgrade_channels: {}\n",
            "line 3: automatic_upgrade_channels is no key that is known here: is automatic_upgrades_channels".to_owned(),
        ),
        (
            "cluster_version: 16.4.0\nproxy_service:\n  automatic_upgrade_channels: {}\n",
            "line 3: proxy_service.automatic_upgrade_channels is no key that is known here: is automatic_upgrades_channels"
                .to_owned(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(checked(&format!("meant-{n}"), text), (78, vec![meant(&line)]));
    }
    let (exit, mistakes) = checked("inside", "cluster_version: 16.4.0\ncluster_maintenance_config: { spec: {} }\n");
    assert_eq!(exit, 78);
    let line = "line 2: cluster_maintenance_config is a document of its own: put a line `---` before it, and its kind and spec behind that";
    assert_eq!(mistakes, [line]);
}

#[test]
fn each_hour_of_the_day_and_both_spellings_of_the_kind_are_taken() {
    for (n, kind) in ["cluster_maintenance_config", "cluster-maintenance-config"].into_iter().enumerate() {
        for hour in [0, 23] {
            let file = scratch(&format!("hours-{n}-{hour}")).join("c.yaml");
            fs::write(&file, format!("kind: {kind}\nspec: {{ agent_upgrades: {{ utc_start_hour: {hour} }} }}\n")).unwrap();
            let words = ["schedule", file.to_str().unwrap(), "--windows", "1", "--from", "2026-11-26 00:00"];
            let (exit, out, said) = run(&words);
            let start = 1_795_651_200 + hour * 3600;
            assert_eq!((exit, said.as_str()), (0, ""));
            assert_eq!(out, format!("# generated by teleport-version-server\n{start} {}\n", start + 3600));
        }
    }
}

#[test]
fn a_key_that_is_given_twice_is_a_mistake_also_where_one_is_quoted() {
    let channel = "automatic_upgrades_channels.default";
    for (n, (text, expected)) in [
        ("default: { static_version: 16.2.0, halt: true, \"halt\": false }", format!("line 2: {channel}.halt is given twice")),
        (
            "default: { static_version: 16.2.0 }\n'default': { static_version: 16.3.0 }",
            format!("line 3: {channel} is given twice"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (exit, mistakes) = checked(&format!("twice-{n}"), &channels(text));
        assert_eq!(exit, 78, "{text}");
        assert!(mistakes.contains(&expected), "{mistakes:?}");
    }
}

#[test]
fn a_file_in_which_nothing_could_be_answered_is_a_mistake() {
    for (n, (text, line)) in [
        ("", "line 1: there is no `automatic_upgrades_channels` and no `cluster_version`: nothing could be answered"),
        ("# nothing\n", "line 1: there is no `automatic_upgrades_channels` and no `cluster_version`: nothing could be answered"),
        ("a: 1\na: 2\ncluster_version: 16.2.0\n", "line 2: \"a\" is given twice"),
        (
            "proxy_service: { enabled: yes }\n",
            "line 1: there is no `proxy_service.automatic_upgrades_channels` and no `cluster_version`: nothing could be answered",
        ),
        ("- a\n", "line 1: must be keys with values"),
        ("cluster_version: [16.2.0]\n", "line 1: cluster_version must be a single value"),
        (
            "cluster_version: 16.2.0\nserve_stale_hours: -1\n",
            "line 2: serve_stale_hours is \"-1\": write a number of hours, 0 to 8760",
        ),
        (
            "x: &x { static_version: 16.2.0 }\nteleport: {}\ncluster_version: 16.2.0\n<<: *x\n",
            "line 4: \"<<\" is a merge key, which is not followed here: write out what it stands for",
        ),
        (
            "cluster_version: 16.2.0\nproxy_service:\n  <<: { enabled: yes }\n",
            "line 3: proxy_service.\"<<\" is a merge key, which is not followed here: write out what it stands for",
        ),
        (
            "cluster_version: 16.2.0\nkind: cluster_maintenance_config\nspec: {}\n",
            "line 1: cluster_version stands in one document with a cluster_maintenance_config: put a line `---` between them",
        ),
        (
            "cluster_version: 16.2.0\n---\ncluster_version: 16.2.0\n",
            "line 3: a second document that is no cluster_maintenance_config: there can be one",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (exit, mistakes) = checked(&format!("nothing-{n}"), text);
        assert_eq!((exit, mistakes.first().map(String::as_str)), (78, Some(line)), "{text:?}: {mistakes:?}");
    }
    assert_eq!(checked("cluster", "cluster_version: 16.2.0\n"), (0, Vec::new()));
}

#[test]
fn windows_are_printed_and_served_as_agents_export_them() {
    let file = scratch("windows").join("cmc.yaml");
    fs::write(&file, WINDOWS).unwrap();
    let path = file.to_str().unwrap();
    let (exit, out, said) = run(&["schedule", path, "--windows", "2", "--from", "2026-11-26 09:30"]);
    assert_eq!((exit, said.as_str()), (0, ""));
    assert_eq!(out, "# generated by teleport-version-server\n1795687200 1795690800\n1796292000 1796295600\n");
    let server = serving("windows-served", "cluster_version: 16.2.0\n", &["--maintenance", path]);
    let (status, body) = server.asked("some/channel/schedule");
    assert_eq!((status.as_str(), body.lines().count()), ("200 OK", 4));
    // No hour has passed between the two, or one has.
    let (_, now, _) = run(&["schedule", path]);
    assert_eq!(body.lines().nth(2), now.lines().nth(2));
    let without = serving("windows-none", "cluster_version: 16.2.0\n", &[]);
    assert_eq!(without.asked("default/schedule").0, "404 Not Found");
    let (exit, _, said) = run(&["schedule", path, "--from", "26.11.2026"]);
    assert_eq!(exit, 64, "{said}");
    let both = scratch("windows-both").join("c.yaml");
    fs::write(&both, format!("cluster_version: 16.2.0\n---\n{WINDOWS}")).unwrap();
    assert_eq!(run(&["check-config", both.to_str().unwrap()]).0, 0);
    // Those of the file that is served can be printed, too.
    let of = |path: &str| run(&["schedule", path, "--from", "2026-11-26 09:30"]).1;
    assert_eq!(of(both.to_str().unwrap()), of(path));
    assert_eq!(run(&["check-config", both.to_str().unwrap(), "--maintenance", path]).0, 78);
}

fn tree(directory: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_published_is_what_is_served_and_only_what_changes_is_touched() {
    use std::os::unix::fs::MetadataExt;
    let top = scratch("publish");
    let (file, out) = (top.join("c.yaml"), top.join("out"));
    let both = "default: { static_version: 16.2.0 }\nwest/blue: { static_version: 16.1.7, critical: true }";
    fs::write(&file, channels(both)).unwrap();
    let publish = || run(&["publish", out.to_str().unwrap(), "--config", file.to_str().unwrap()]);
    let (exit, said, _) = publish();
    assert_eq!((exit, said.contains("6 new, 0 as before, 0 removed")), (0, true), "{said}");
    let server = serving("publish-served", &channels(both), &[]);
    let files = tree(&out);
    let prefix = "v1/webapi/automaticupgrades/channel/";
    let names: Vec<&str> = files.iter().map(|(name, _)| name.strip_prefix(prefix).unwrap()).collect();
    assert_eq!(
        names,
        [
            "default/critical",
            "default/version",
            "stable/cloud/critical",
            "stable/cloud/version",
            "west/blue/critical",
            "west/blue/version"
        ]
    );
    for (name, body) in &files {
        assert_eq!(&server.body(name.strip_prefix(prefix).unwrap()), body);
    }
    let inode = |name: &str| fs::metadata(out.join(prefix).join(name)).unwrap().ino();
    let before = (inode("default/version"), inode("default/critical"));
    fs::write(&file, channels("default: { static_version: 16.2.1 }")).unwrap();
    fs::write(out.join("index.html"), "somebody's own").unwrap();
    let (_, said, _) = publish();
    assert!(said.contains("2 new, 2 as before, 2 removed"), "{said}");
    assert_ne!(inode("default/version"), before.0);
    assert_eq!(inode("default/critical"), before.1);
    assert_eq!(tree(&out).len(), 5);
    assert!(!out.join(prefix).join("west").exists());
    assert_eq!(fs::read_to_string(out.join("index.html")).unwrap(), "somebody's own");
}

#[test]
fn the_mistakes_of_both_files_are_named_in_one_go() {
    let directory = scratch("both-wrong");
    let (channels, windows) = (directory.join("c.yaml"), directory.join("w.yaml"));
    fs::write(&channels, "cluster_version: 16\n").unwrap();
    fs::write(&windows, "kind: cluster_maintenance_config\nspec: { agent_upgrades: { utc_start_hour: 24 } }\n").unwrap();
    let (exit, _, said) = run(&["check-config", channels.to_str().unwrap(), "--maintenance", windows.to_str().unwrap()]);
    assert_eq!(exit, 78);
    assert!(said.contains("c.yaml: line 1: cluster_version is \"16\": "), "{said}");
    assert!(said.contains("w.yaml: line 2: spec.agent_upgrades.utc_start_hour is \"24\": "), "{said}");
    let (exit, _, said) = run(&["schedule", windows.to_str().unwrap()]);
    assert_eq!(exit, 78);
    assert!(said.ends_with(&format!("next: mend {}, and try again\n", windows.display())), "{said}");
}

#[test]
fn what_is_no_file_of_text_is_refused_at_once_and_the_next_order_heard() {
    let server = serving("no-file", &channels("default: { static_version: 16.2.0 }"), &[]);
    let heard = |words: &str| while !server.line().contains(words) {};
    fs::write(&server.configuration, b"cluster_version: 16.2.0\n# \xfc\n").unwrap();
    server.signal("-HUP");
    heard("cannot be read: line 2 is no text in UTF-8");
    fs::remove_file(&server.configuration).unwrap();
    assert!(Command::new("mkfifo").arg(&server.configuration).status().unwrap().success());
    server.signal("-HUP");
    heard("cannot be read: it is no regular file");
    // Whatever it is, its mode is no business of ours.
    let (exit, _, said) = run(&["check-config", "/tmp"]);
    assert_eq!(exit, 78);
    assert!(said.ends_with("what is there now: ls -ld /tmp\n") && !said.contains("chmod"), "{said}");
    assert_eq!(server.body("default/version"), "v16.2.0");
}
