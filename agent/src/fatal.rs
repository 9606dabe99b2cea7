//! Last words of the agent.

/// The agent was about to touch an address that is not the program's.
#[cold]
pub fn foreign_address(addr: u64) -> ! {
    crate::diag::say!("address {addr:#x} is not the program's; stopping");
    crate::sys::exit_group(125)
}

/// A bug of the agent: says where and ends the process. Inputs never lead here.
#[cold]
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::diag::say!("internal error: {info}; please report it with the trace");
    crate::sys::exit_group(125)
}
