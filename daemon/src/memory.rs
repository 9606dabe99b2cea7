//! How much memory a process really takes.

/// Proportional set size of a process in KiB, when it can be read.
pub(crate) fn pss_kib(pid: i32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?)
}

fn parse(rollup: &str) -> Option<u64> {
    rollup
        .lines()
        .find_map(|l| l.strip_prefix("Pss:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernel_s_words() {
        assert_eq!(
            parse("00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:    1644 kB\nPss:     319 kB\nPss_Dirty: 5 kB\n"),
            Some(319)
        );
        assert_eq!(parse("nothing"), None);
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(pss_kib(own).is_some_and(|k| k > 100));
        assert_eq!(pss_kib(-1), None);
    }
}
