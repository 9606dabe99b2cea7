//! The floating-point and vector registers, which agent code leaves alone but functions of the program do not.

use core::arch::asm;

/// What they hold.
#[repr(C, align(16))]
pub struct Vectors([u8; 512]);

impl Vectors {
    /// As they are now.
    #[must_use]
    pub fn save() -> Vectors {
        let mut all = Vectors([0; 512]);
        // SAFETY: writes 512 bytes of ours, aligned as the instruction wants them.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut all, options(nostack, preserves_flags)) };
        all
    }

    /// Puts them back.
    pub fn restore(&self) {
        // SAFETY: what `save` has written; agent code keeps nothing in these registers.
        unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const *self, options(nostack, preserves_flags)) };
    }
}

impl core::fmt::Debug for Vectors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Vectors")
    }
}
