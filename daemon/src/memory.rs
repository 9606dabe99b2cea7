//! How much memory a process really takes.

/// Proportional set size of a process in KiB, when it can be read (proc_pid_smaps_rollup(5)).
pub(crate) fn pss_kib(pid: i32) -> Option<u64> {
    read(pid, "smaps_rollup", "Pss:")
}

/// The same with its page tables, which for a paused copy are often more (proc_pid_status(5)).
pub(crate) fn taken_kib(pid: i32) -> Option<u64> {
    Some(pss_kib(pid)? + read(pid, "status", "VmPTE:")?)
}

fn read(pid: i32, file: &str, name: &str) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?, name)
}

fn parse(lines: &str, name: &str) -> Option<u64> {
    lines
        .lines()
        .find_map(|l| l.strip_prefix(name))?
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
            parse(
                "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:    1644 kB\nPss:     319 kB\nPss_Dirty: 5 kB\n",
                "Pss:"
            ),
            Some(319)
        );
        assert_eq!(parse("nothing", "Pss:"), None);
        let own = i32::try_from(std::process::id()).unwrap();
        let pss = pss_kib(own).unwrap();
        assert!(pss > 100 && taken_kib(own).is_some_and(|k| k > 100));
        assert_eq!(pss_kib(-1), None);
    }
}
