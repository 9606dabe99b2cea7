//! How long vector instructions are that the decoder does not know, as those of mask registers: what follows a VEX or EVEX prefix has one
//! form (Intel SDM volume 2, 2.3 and 2.7).

/// Length of an instruction with such a prefix, which is its first byte; `None` for others and what is cut off.
#[must_use]
pub fn length(code: &[u8]) -> Option<u64> {
    let (map, opcode) = match *code.first()? {
        0xc5 => (1, 2),
        0xc4 => (code.get(1)? & 0x1f, 3),
        0x62 => (code.get(1)? & 7, 4),
        _ => return None,
    };
    let number = *code.get(opcode)?;
    if map == 1 && number == 0x77 {
        return Some(opcode as u64 + 1); // vzeroupper: no operands
    }
    let mode = *code.get(opcode + 1)?;
    let has_base = mode >> 6 != 3 && mode & 7 == 4;
    let base = if has_base { code.get(opcode + 2)? & 7 } else { mode & 7 };
    let displacement = match mode >> 6 {
        0 if base == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    let immediate = map == 3 || map == 1 && matches!(number, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6);
    (1..=6)
        .contains(&map)
        .then_some(opcode as u64 + 2 + u64::from(has_base) + displacement + u64::from(immediate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use yaxpeax_arch::{Decoder, LengthedInstruction, U8Reader};
    use yaxpeax_x86::long_mode::InstDecoder;

    #[test]
    fn masks() {
        // kmovd ecx, k1; kortestd k1, k0; kmovq [rsp+8], k1; kshiftrd k1, k1, 3
        assert_eq!(length(&[0xc5, 0xfb, 0x93, 0xc9, 0x81]), Some(4));
        assert_eq!(length(&[0xc4, 0xe1, 0xf9, 0x98, 0xc8, 0]), Some(5));
        assert_eq!(length(&[0xc4, 0xe1, 0xf8, 0x91, 0x4c, 0x24, 0x08]), Some(7));
        assert_eq!(length(&[0xc4, 0xe3, 0x79, 0x31, 0xc9, 0x03]), Some(6));
        assert_eq!(length(&[0x48, 0x89, 0xc8]), None);
        assert_eq!(length(&[0xc5]), None);
    }

    /// What the decoder knows is as long as this says.
    #[test]
    fn agrees_with_the_decoder() {
        let decoder = InstDecoder::default();
        let mut state = 7u64;
        let mut compared = 0;
        for _ in 0..400_000 {
            let bytes: [u8; 16] = core::array::from_fn(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            });
            let mut code = bytes;
            code[0] = [0xc5, 0xc4, 0x62][usize::from(bytes[0]) % 3];
            if let Ok(known) = decoder.decode(&mut U8Reader::new(&code)) {
                compared += 1;
                assert_eq!(length(&code), Some(known.len().to_const()), "{code:02x?} {known:?}");
            }
        }
        assert!(compared > 10_000, "{compared}");
    }
}
