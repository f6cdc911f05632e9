//! Whether there is room for an upgrade (H18): what it takes, and where, against what is free there.

/// What a package takes, in bytes, as the repository says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// To be downloaded.
    pub download: u64,
    /// To be unpacked: the new files lie beside the old ones for a while.
    pub unpacked: u64,
}

/// A place on the host where something will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub path: String,
    /// Its file system: places on one share what is free.
    pub device: u64,
    /// What root may still write there, in bytes.
    pub free: u64,
    /// How many files may still be made there; `None` where that has no bound.
    pub files: Option<u64>,
    /// Whether nothing at all may be written there, as on hosts whose `/usr` is an image.
    pub read_only: bool,
}

/// Beside what is needed: package databases and logs grow, and a file system that is full to the last byte serves nobody.
const MARGIN: u64 = 16 * 1024 * 1024;
/// A package of the agent has some dozens of files, and a package manager makes some of its own.
const FILES: u64 = 500;

/// What is short, in words; `None` when there is room for everything. Each place comes with the bytes that it has to take.
#[must_use]
pub fn shortage(wanted: &[(Place, u64)]) -> Option<String> {
    wanted.iter().find_map(|(place, _)| {
        if place.read_only {
            return Some(format!("{} is on a file system that is mounted read-only", place.path));
        }
        let there = wanted.iter().filter(|(other, _)| other.device == place.device);
        let bytes: u64 = there.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
        let needed = bytes.saturating_add(bytes / 10).saturating_add(MARGIN);
        if place.free < needed {
            return Some(format!(
                "{} has {} free, and {} are needed there",
                place.path,
                megabytes(place.free),
                megabytes(needed)
            ));
        }
        let files = place.files.filter(|files| *files < FILES)?;
        Some(format!("{} has room for {files} more files, and {FILES} are needed there", place.path))
    })
}

/// As `df -h` would round it, upwards.
fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn place(path: &str, device: u64, free: u64, files: Option<u64>) -> Place {
        Place { path: path.into(), device, free: free * MIB, files, read_only: false }
    }

    #[test]
    fn h18_what_is_short_is_named_before_anything_is_written() {
        let (var, usr) = (|free| place("/var/lib", 1, free, Some(9000)), |free| place("/usr/local/bin", 2, free, None));
        let stories = [
            ("enough", vec![(var(126), 100 * MIB), (usr(346), 300 * MIB)], None),
            (
                "no margin left",
                vec![(var(125), 100 * MIB), (usr(346), 300 * MIB)],
                Some("/var/lib has 125 MiB free, and 126 MiB are needed there"),
            ),
            (
                "the second is full",
                vec![(var(126), 100 * MIB), (usr(0), 300 * MIB)],
                Some("/usr/local/bin has 0 MiB free, and 346 MiB are needed there"),
            ),
            (
                "both on one file system",
                vec![(var(400), 100 * MIB), (place("/usr", 1, 400, None), 300 * MIB)],
                Some("/var/lib has 400 MiB free, and 456 MiB are needed there"),
            ),
            (
                "an image",
                vec![(var(400), MIB), (Place { read_only: true, ..usr(400) }, MIB)],
                Some("/usr/local/bin is on a file system that is mounted read-only"),
            ),
            (
                "no inodes",
                vec![(place("/var/lib", 1, 4000, Some(499)), MIB)],
                Some("/var/lib has room for 499 more files, and 500 are needed there"),
            ),
            (
                "nonsense from a repository",
                vec![(var(126), u64::MAX)],
                Some("/var/lib has 126 MiB free, and 17592186044416 MiB are needed there"),
            ),
        ];
        for (story, wanted, expected) in stories {
            assert_eq!(shortage(&wanted).as_deref(), expected, "{story}");
        }
    }
}
