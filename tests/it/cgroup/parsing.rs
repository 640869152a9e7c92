//! What mountinfo and `/proc/self/cgroup` of various machines mean.

use std::path::{Path, PathBuf};

use cas::world::cgroup::{Controller, Hierarchy, Version};

/// Version, controllers, mount, and where our own cgroup is seen.
fn seen(mountinfo: &str, own: &str) -> Vec<(Version, Vec<Controller>, PathBuf, Option<PathBuf>)> {
    Hierarchy::parse(mountinfo, own)
        .into_iter()
        .map(|found| (found.version, found.controllers.clone(), found.mount.clone(), found.own_dir()))
        .collect()
}

fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}

#[test]
fn a_machine_with_v2_alone_has_one_hierarchy() {
    let mountinfo = "22 27 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n\
        34 23 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
    let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/cas.service\n";
    let dir = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/cas.service";
    assert_eq!(seen(mountinfo, own), [(Version::V2, vec![], path("/sys/fs/cgroup"), Some(path(dir)))]);
}

#[test]
fn a_machine_with_v1_alone_has_one_hierarchy_for_each_set_of_controllers() {
    let mountinfo = "\
        25 20 0:22 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n\
        26 25 0:23 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,name=systemd\n\
        27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n\
        28 25 0:25 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory\n\
        29 25 0:26 / /sys/fs/cgroup/net_cls,net_prio rw shared:13 - cgroup cgroup rw,net_cls,net_prio\n\
        30 25 0:27 / /sys/fs/cgroup/pids rw shared:14 - cgroup cgroup rw,pids\n\
        31 25 0:28 / /sys/fs/cgroup/freezer rw shared:15 - cgroup cgroup rw,freezer\n";
    let own = "12:pids:/user.slice/user-0.slice\n5:cpu,cpuacct:/user.slice\n4:memory:/user.slice\n3:freezer:/\n2:net_cls,net_prio:/\n1:name=systemd:/x\n";
    assert_eq!(
        seen(mountinfo, own),
        [
            (
                Version::V1,
                vec![Controller::Cpu, Controller::Cpuacct],
                path("/sys/fs/cgroup/cpu,cpuacct"),
                Some(path("/sys/fs/cgroup/cpu,cpuacct/user.slice"))
            ),
            (
                Version::V1,
                vec![Controller::Memory],
                path("/sys/fs/cgroup/memory"),
                Some(path("/sys/fs/cgroup/memory/user.slice"))
            ),
            (
                Version::V1,
                vec![Controller::Pids],
                path("/sys/fs/cgroup/pids"),
                Some(path("/sys/fs/cgroup/pids/user.slice/user-0.slice"))
            ),
            (
                Version::V1,
                vec![Controller::Freezer],
                path("/sys/fs/cgroup/freezer"),
                Some(path("/sys/fs/cgroup/freezer"))
            ),
        ]
    );
}

#[test]
fn a_hybrid_machine_has_v2_first_and_the_controllers_in_v1() {
    let mountinfo = "\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    let own = "8:pids:/\n4:memory:/process/6c77\n0::/\n";
    let found = Hierarchy::parse(mountinfo, own);
    let mounts: Vec<_> = found.iter().map(|one| (one.version, one.mount.as_path())).collect();
    assert_eq!(
        mounts,
        [
            (Version::V2, Path::new("/sys/fs/cgroup/unified")),
            (Version::V1, Path::new("/sys/fs/cgroup/memory")),
            (Version::V1, Path::new("/sys/fs/cgroup/pids")),
        ]
    );
    assert_eq!(found[1].own_dir(), Some(path("/sys/fs/cgroup/memory/process/6c77")));
}

#[test]
fn inside_a_container_only_what_is_mounted_can_be_seen() {
    // Without a cgroup namespace: the container's cgroup is what is mounted, and paths are those of the machine.
    let mountinfo = "900 899 0:29 /docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
    assert_eq!(
        seen(mountinfo, "0::/docker/abc/child\n"),
        [(Version::V2, vec![], path("/sys/fs/cgroup"), Some(path("/sys/fs/cgroup/child")))]
    );
    assert_eq!(seen(mountinfo, "0::/docker/abc\n")[0].3, Some(path("/sys/fs/cgroup")));
    assert_eq!(seen(mountinfo, "0::/docker/abcdef\n")[0].3, None, "a name that only begins alike is another");
    assert_eq!(seen(mountinfo, "0::/user.slice\n")[0].3, None);
    // With one, a process outside of it is seen through dots.
    let mountinfo = "900 899 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    assert_eq!(seen(mountinfo, "0::/../outside\n")[0].3, None);
    assert_eq!(seen(mountinfo, "0::/\n")[0].3, Some(path("/sys/fs/cgroup")));
}

#[test]
fn a_hierarchy_that_is_mounted_twice_is_used_where_we_can_be_seen() {
    let mountinfo = "\
        50 1 0:29 /machine /elsewhere rw - cgroup2 cgroup2 rw\n\
        51 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
        52 1 0:29 / /again rw - cgroup2 cgroup2 rw\n";
    assert_eq!(
        seen(mountinfo, "0::/user.slice\n"),
        [(Version::V2, vec![], path("/sys/fs/cgroup"), Some(path("/sys/fs/cgroup/user.slice")))]
    );
}

#[test]
fn a_mount_point_with_a_space_and_a_cgroup_with_a_colon_are_read_whole() {
    let mountinfo = "51 1 0:29 / /odd\\040place\\134x rw - cgroup2 cgroup2 rw\n";
    let found = &Hierarchy::parse(mountinfo, "0::/a:b/c d\n")[0];
    assert_eq!(found.mount, path("/odd place\\x"));
    assert_eq!(found.own, path("/a:b/c d"));
}

#[test]
fn text_that_is_cut_or_strange_gives_no_hierarchy_and_no_panic() {
    for mountinfo in ["", "\n\n", "a b c", "1 2 3 / /x rw - cgroup2", "1 2 3:4 - cgroup2 x rw", "1 - cgroup x memory"] {
        assert_eq!(Hierarchy::parse(mountinfo, "0::/\n4:memory:/\n"), [], "{mountinfo:?}");
    }
    let sound = "51 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    for own in ["", "0", "0:", "x:y", "1:memory:/\n"] {
        assert_eq!(Hierarchy::parse(sound, own), [], "{own:?}");
    }
}
