//! Which run of the operating system this is, for a store in a given folder.
//!
//! If a log was written in this very run, only a process can have died since, and what it wrote is in the
//! system's page cache or on the disk. That holds on volumes that stay while the system runs: not for
//! network shares, and not for a stick that was pulled out. So a file system that is not known to be
//! of the first kind gives no boot id, and everything unproven is checked.

use std::path::Path;

use super::log::BootId;

/// File systems of disks that are built in, and those that vanish with the system anyway.
const FIXED: [&str; 9] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"];

/// The boot id that holds for files below `root`, which has no links in it.
pub(crate) fn boot_id(root: &Path) -> BootId {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    if !FIXED.contains(&file_system(&mounts, root)?) {
        return None;
    }
    parse(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

/// A boot id that no other store has: for one that ends with its process.
pub(crate) fn random() -> BootId {
    let mut id = [0; 16];
    for part in id.as_chunks_mut::<4>().0 {
        *part = super::logfile::new_epoch(None).to_le_bytes();
    }
    Some(id)
}

/// 32 hexadecimal digits with dashes.
fn parse(text: &str) -> BootId {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    (id != 0).then(|| id.to_be_bytes())
}

/// The type of the file system that `path` is on, by the kernel's table of mounts.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let entry = |line: &'a str| {
        // "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
        let (place, kind) = line.split_once(" - ")?;
        // Spaces in names are written as \040; such a name matches nothing, and its parent decides instead.
        Some((place.split(' ').nth(4)?, kind.split(' ').next()?))
    };
    let above = mounts.lines().filter_map(entry).filter(|(point, _)| path.starts_with(point));
    // The longest one counts, and of equal ones the last, which hides the others.
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_only_file_systems_that_stay_while_the_system_runs_give_a_boot_id() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      30 22 0:40 / /mnt/share rw shared:1 - nfs4 host:/x rw\n\
                      31 22 8:17 / /mnt rw - vfat /dev/sdb1 rw\n\
                      32 22 8:18 / /mnt rw - xfs /dev/sdb2 rw\n";
        let kind = |path: &str| file_system(mounts, Path::new(path));
        assert_eq!(kind("/var/me/store"), Some("ext4"));
        assert_eq!(kind("/mnt/share/store"), Some("nfs4"));
        assert_eq!(kind("/mnt/store"), Some("xfs"));
        assert_eq!(kind("/mntx"), Some("ext4"));
        assert!(!FIXED.contains(&"nfs4"));
    }

    #[test]
    fn a3_a_boot_id_is_32_digits_or_none() {
        let text = "5f5b3d3c-6f4b-4d0f-9a44-0a6c7d8e9f10\n";
        assert_eq!(parse(text).map(|id| id[0]), Some(0x5f));
        for bad in ["", "0", "zz", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(parse(bad), None);
        }
        assert_ne!(random(), random());
    }
}
