//! The break of a forked child that is on its own: from now on the kernel's, where the agent has kept it so far.

use crate::layout::BRK_BASE;
use crate::state::Agent;
use crate::sys;

/// `struct prctl_mm_map` (linux/prctl.h): start and end of code and data, of the break, start of the stack, start and end of arguments and
/// environment; then no auxiliary vector, and no other executable.
type Map = [u64; 13];

/// Tells the kernel where the break is. A kernel without `CONFIG_CHECKPOINT_RESTORE` will not hear of it; the child's heap cannot grow then.
pub fn give_back(agent: &Agent) {
    const PR_SET_MM: u64 = 35;
    const PR_SET_MM_MAP: u64 = 14;
    /// The data segment is said to be empty and low: older kernels want it below the break.
    const DATA: u64 = 0x1_0000;
    const NO_EXECUTABLE: u64 = 0xffff_ffff << 32;
    let Some(stat) = crate::memory::maps::read_file(c"/proc/self/stat") else {
        return;
    };
    // The name, in parentheses, may hold anything; fields are numbered from 1 in proc(5), and behind it comes the third.
    let behind = stat.iter().rposition(|b| *b == b')').map_or(0, |i| i + 2);
    let text = core::str::from_utf8(&stat[behind..]).unwrap_or_default();
    let field = |n: usize| text.split_ascii_whitespace().nth(n - 3).and_then(|f| f.parse::<u64>().ok());
    let [Some(code), Some(code_end), Some(stack)] = [26, 27, 28].map(field) else {
        return;
    };
    let [Some(args), Some(args_end), Some(env), Some(env_end)] = [48, 49, 50, 51].map(field) else {
        return;
    };
    let map: Map = [
        code,
        code_end,
        DATA,
        DATA,
        BRK_BASE,
        agent.brk,
        stack,
        args,
        args_end,
        env,
        env_end,
        0,
        NO_EXECUTABLE,
    ];
    sys::raw_agent_pointers(
        sys::nr::PRCTL,
        [PR_SET_MM, PR_SET_MM_MAP, map.as_ptr() as u64, size_of::<Map>() as u64, 0, 0],
    );
}
