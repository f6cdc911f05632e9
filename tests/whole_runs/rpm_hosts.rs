//! Hosts with rpm, as far as stand-ins can tell: which manager is chosen, what the command lines of dnf 4 and of dnf5 are (the latter from
//! its manual), and whose hold it is. What the tools do then is for the sandboxes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::Host;

/// An rpm host without apt, with these programs, and agent 16.1.7.
fn host(programs: &[&str]) -> Host {
    let host = Host::new();
    for program in ["apt-get", "dpkg-query"] {
        fs::remove_file(host.program(program)).unwrap();
    }
    rpm(&host, programs);
    host
}

fn rpm(host: &Host, programs: &[&str]) {
    host.state("rpm", "teleport-ent 0:16.1.7-1\n");
    host.write("etc/yum.repos.d/teleport.repo", "[teleport]\nname=Teleport\nexclude=foo\n");
    for program in programs {
        fs::write(host.program(program), "#!/bin/sh\n. \"${0%/*}/common.sh\"\necho 4.14.0\n").unwrap();
        fs::set_permissions(host.program(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn with_dnf5() -> Host {
    let host = host(&["dnf5"]);
    symlink("dnf5", host.program("dnf")).unwrap();
    host
}

/// The commands of a dry run, without those of the service.
fn commands(host: &Host) -> Vec<String> {
    let said = host.dry_run().said;
    let steps = said.lines().filter_map(|line| line.strip_prefix("[i]   ")?.split_once(". ")).map(|(_, step)| step.to_owned());
    steps.filter(|step| !step.starts_with("systemctl")).collect()
}

#[test]
fn v22_dnf_4_is_asked_in_its_own_words() {
    assert_eq!(
        commands(&host(&["dnf"])),
        [
            "dnf -y --setopt=exit_on_lock=1 '--disablerepo=*' --enablerepo=teleport --setopt=teleport.gpgkey=file:///var/lib/teleport-upgrade/private/keys.asc --setopt=teleport.skip_if_unavailable=0 --refresh makecache",
            "dnf -y --setopt=exit_on_lock=1 '--disablerepo=*' --enablerepo=teleport --setopt=teleport.gpgkey=file:///var/lib/teleport-upgrade/private/keys.asc --setopt=teleport.skip_if_unavailable=0 --disableexcludes=teleport --setopt=keepcache=1 --setopt=install_weak_deps=0 install teleport-ent-16.2.0",
            "one word, teleport-ent, in the exclude line of [teleport] in /etc/yum.repos.d/teleport.repo",
        ]
    );
}

#[test]
fn v22_dnf5_is_asked_in_its_own_words() {
    assert_eq!(
        commands(&with_dnf5()),
        [
            "dnf -y --repo=teleport --setopt=teleport.gpgkey=file:///var/lib/teleport-upgrade/private/keys.asc --setopt=teleport.skip_if_unavailable=0 --refresh makecache",
            "dnf -y --repo=teleport --setopt=teleport.gpgkey=file:///var/lib/teleport-upgrade/private/keys.asc --setopt=teleport.skip_if_unavailable=0 --setopt=disable_excludes=teleport --setopt=keepcache=1 --setopt=install_weak_deps=0 install teleport-ent-16.2.0",
            "one word, teleport-ent, in the exclude line of [teleport] in /etc/yum.repos.d/teleport.repo",
        ]
    );
}

#[test]
fn v22_a_yum_3_is_told_from_dnf_and_refused_with_a_sentence() {
    let host = host(&["yum"]);
    fs::write(host.program("yum"), "#!/bin/sh\necho 3.4.3\n").unwrap();
    let ran = host.run();
    assert!(ran.said.contains("[!] this program drives dnf 4 and 5; `yum --version` says \"3.4.3\"\n"), "{}", ran.said);
    assert_eq!(ran.exit, 78);
}

#[test]
fn v21_an_administrators_exclude_or_version_lock_wins_and_is_named() {
    let stories = [
        ("etc/yum.repos.d/teleport.repo", "[teleport]\nexclude=tele*\n", "excluded (`tele*` in /etc/yum.repos.d/teleport.repo)"),
        ("etc/dnf/dnf.conf", "[main]\nexclude=bash,teleport-ent\n", "excluded (`teleport-ent` in /etc/dnf/dnf.conf)"),
        (
            "etc/yum.repos.d/teleport.repo",
            "[teleport]\nincludepkgs=teleport-ent-16.1*\n",
            "excluded (`includepkgs=teleport-ent-16.1*` in /etc/yum.repos.d/teleport.repo)",
        ),
        (
            "etc/dnf/repos.override.d/99.repo",
            "[teleport]\nexcludepkgs=teleport-ent\n",
            "excluded (`teleport-ent` in /etc/dnf/repos.override.d/99.repo)",
        ),
        (
            "etc/dnf/versionlock.toml",
            "version = \"1.0\"\n[[packages]]\nname='teleport-ent'\n",
            "locked in /etc/dnf/versionlock.toml",
        ),
    ];
    for (file, text, is) in stories {
        let host = with_dnf5();
        host.write(file, text);
        let ran = host.run();
        let sentence = format!("[!] teleport-ent is {is}, and not by this program: the administrator's hold wins.\n");
        assert!(ran.said.contains(&sentence), "{file}: {}", ran.said);
        assert_eq!(ran.exit, 0, "{file}");
    }
}

#[test]
fn of_two_managers_that_share_a_database_the_distribution_tells_or_the_operator_is_asked() {
    let host = host(&["dnf", "zypper"]);
    let ran = host.run();
    assert!(
        ran.said.contains("[!] this host has dnf and zypper: it cannot be told which package manager moves the agent\n    next: write `apt`, `dnf`, `yum` or `zypper` into the file `installer`"),
        "{}",
        ran.said
    );
    assert_eq!(ran.exit, 78);
    host.write("etc/os-release", "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n");
    assert!(commands(&host)[0].starts_with("zypper "));
    host.write("etc/os-release", "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n");
    assert!(commands(&host)[0].starts_with("dnf "));
    host.configure("installer", "zypper");
    assert!(commands(&host)[0].starts_with("zypper "));
}

#[test]
fn of_two_families_the_one_that_has_the_agent_moves_it() {
    let host = Host::new();
    rpm(&host, &["dnf"]);
    let ran = host.run();
    assert!(ran.said.contains("the agent's package is in the databases of dpkg and of rpm: it cannot be told"), "{}", ran.said);
    assert_eq!(ran.exit, 78);
    host.state("rpm", "");
    assert!(commands(&host)[0].starts_with("apt-get "));
    let host = Host::new();
    rpm(&host, &["dnf"]);
    fs::remove_file(host.path_of_trouble("x").with_file_name("installed")).unwrap();
    assert!(commands(&host)[0].starts_with("dnf "));
}

#[test]
fn a_repository_that_is_not_there_is_named_with_the_files_that_are() {
    let host = host(&["dnf"]);
    host.configure("repo", "mirror");
    let ran = host.run();
    assert!(ran.said.contains("[!] `repo` says mirror, but no repository file below /etc/yum.repos.d or /etc/yum/repos.d or /etc/distro.repos.d has a section [mirror]\n    next: name the section of one of these files (/etc/yum.repos.d/teleport.repo)"), "{}", ran.said);
    assert_eq!(ran.exit, 78);
}

#[test]
fn v21_a_list_of_version_locks_counts_where_its_plugin_is_at_work() {
    let stories = [
        (None, "teleport-ent-0:16.1.7-1.*", false),
        (Some("[main]\nenabled = 0\n"), "teleport-ent-0:16.1.7-1.*", false),
        (Some("[main]\nenabled = 1\n"), "teleport-ent-0:16.1.7-1.*", true),
        (Some("[main]\nenabled = 1\n"), "bash-0:5.1-1.*", false),
        (Some("[main]\nenabled = 1\n"), "# teleport-ent-0:16.1.7-1.*", false),
        (Some("[main]\nenabled = 1\nlocklist = /etc/elsewhere.list\n"), "teleport-ent-0:16.1.7-1.*", false),
    ];
    for (settings, list, locked) in stories {
        let host = host(&["dnf"]);
        host.write("etc/dnf/plugins/versionlock.list", &format!("{list}\n"));
        if let Some(settings) = settings {
            host.write("etc/dnf/plugins/versionlock.conf", settings);
        }
        let said = host.dry_run().said;
        assert_eq!(
            said.contains("teleport-ent is locked in /etc/dnf/plugins/versionlock.list"),
            locked,
            "{settings:?} {list}: {said}"
        );
    }
}

/// Whoever switched it off gets the agent from elsewhere.
#[test]
fn a_repository_that_is_switched_off_is_not_switched_on() {
    let host = host(&["dnf"]);
    host.write("etc/yum.repos.d/teleport.repo", "[teleport]\nenabled=0\n");
    assert!(!commands(&host)[0].contains("enablerepo"), "{:?}", commands(&host));
    host.configure("repo", "teleport");
    let ran = host.run();
    let sentence = "[!] `repo` says teleport, and that repository is disabled in /etc/yum.repos.d/teleport.repo\n";
    assert!(ran.said.contains(sentence), "{}", ran.said);
    assert_eq!(ran.exit, 78);
}
