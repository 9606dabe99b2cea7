//! One event of the raw stream: the other side of `writer`.

use crate::event::{FIRST_ADDRESS, Fixed, Kind, LARGEST_EFFECT, MOST_EFFECTS, Place};
use crate::sites::{Site, Sites, WORDS};
use crate::varint::{Cursor, Stop};
use crate::writer::{code, head, words};
use alloc::vec::Vec;

/// A decoded event.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) fixed: Fixed,
    pub(crate) effects: Vec<Place>,
    /// The words of the small effect.
    pub(crate) words: [u8; 8 * WORDS],
    /// Where in the stream the next event starts.
    pub(crate) end: usize,
    /// What is decoded of an event whose stream ended in its effects: an event of many is not begun anew with each chunk.
    begun: Option<Begun>,
}

/// An event decoded up to an effect.
#[derive(Clone, Copy, Debug)]
struct Begun {
    slot: usize,
    site: Site,
    /// There has been a small effect.
    small: bool,
    /// Where in the stream the effect starts.
    at: usize,
}

impl Decoded {
    pub(crate) fn new() -> Decoded {
        Decoded {
            fixed: *Sites::new().latest(),
            effects: Vec::new(),
            words: [0; 8 * WORDS],
            end: 0,
            begun: None,
        }
    }

    /// The stream has lost its first bytes, those of events that were passed.
    pub(crate) fn rebase(&mut self, lost: usize) {
        if let Some(begun) = &mut self.begun {
            begun.at -= lost;
            self.effects.iter_mut().filter(|e| !e.in_words).for_each(|e| e.at -= lost);
        }
    }

    /// Decodes the event at `at`, the same as before if that had not ended. Unless all of it is there, `sites` is as before.
    pub(crate) fn read(&mut self, stream: &[u8], at: usize, sites: &mut Sites) -> Result<(), Stop> {
        let c = &mut Cursor::new(stream, at);
        let mut begun = match self.begun.take() {
            Some(begun) => {
                *c = Cursor::new(stream, begun.at);
                begun
            }
            None => {
                self.effects.clear();
                let (slot, site, more) = start(c, sites)?;
                if !more {
                    self.fixed = site.event;
                    self.end = c.at();
                    sites.put(slot, site);
                    return Ok(());
                }
                Begun {
                    slot,
                    site,
                    small: false,
                    at: c.at(),
                }
            }
        };
        loop {
            let (target, words, small) = (begun.site.target, begun.site.words, begun.small);
            match self.effect(c, &mut begun.site, &mut begun.small) {
                Ok(true) => begun.at = c.at(),
                Ok(false) => break,
                Err(Stop::More) => {
                    (begun.site.target, begun.site.words, begun.small) = (target, words, small);
                    self.begun = Some(begun);
                    return Err(Stop::More);
                }
                Err(Stop::Malformed) => return Err(Stop::Malformed),
            }
        }
        self.fixed = begun.site.event;
        self.end = c.at();
        sites.put(begun.slot, begun.site);
        Ok(())
    }

    /// Decodes an effect; whether there is another. Where the stream ends in it, `site` and `small` may have changed, nothing else.
    fn effect(&mut self, c: &mut Cursor<'_>, site: &mut Site, small: &mut bool) -> Result<bool, Stop> {
        let first = c.byte()?;
        let target = match first >> code::TARGET_SHIFT & 7 {
            code::TAG => c
                .varint()
                .and_then(|t| if t < FIRST_ADDRESS { Ok(t) } else { Err(Stop::Malformed) })?,
            code::EXPLICIT => {
                site.target = c.delta(site.target)?;
                site.target
            }
            i => site.event.args[usize::from(i)],
        };
        let length = first & 0xf;
        let differs = length > code::WORDS_BEFORE && length <= code::BYTES_BEFORE;
        if differs {
            if *small {
                return Err(Stop::Malformed);
            }
            *small = true;
            let n = usize::from(length - code::WORDS_BEFORE);
            for i in 0..n {
                site.words[i] = c.delta(site.words[i])?;
                self.words[8 * i..8 * i + 8].copy_from_slice(&site.words[i].to_le_bytes());
            }
            self.effects.push(Place {
                target,
                in_words: true,
                at: 0,
                len: 8 * n,
            });
        } else {
            let len = match length {
                code::LENGTH => c.varint()?,
                code::AS_RESULT => site.event.ret.cast_unsigned(),
                n => u64::from(n - code::BYTES_BEFORE),
            };
            if len > LARGEST_EFFECT {
                return Err(Stop::Malformed);
            }
            let at = c.at();
            let bytes = c.take(len as usize)?;
            if words(len).is_some() && !*small {
                *small = true;
                for (word, c) in site.words.iter_mut().zip(bytes.chunks_exact(8)) {
                    *word = u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
                }
            }
            self.effects.push(Place {
                target,
                in_words: false,
                at,
                len: len as usize,
            });
        }
        if self.effects.len() > MOST_EFFECTS {
            return Err(Stop::Malformed);
        }
        Ok(first & code::MORE != 0)
    }
}

/// What an event has before its effects: its slot, itself, and whether it has any.
fn start(c: &mut Cursor<'_>, sites: &Sites) -> Result<(usize, Site, bool), Stop> {
    let bits = c.byte()?;
    let (slot, mut site) = place(bits, c, sites)?;
    let e = &mut site.event;
    if bits & head::STACK != 0 {
        e.rsp = c.delta(e.rsp)?;
    }
    if bits & head::RESULT != 0 {
        e.ret = c.delta(e.ret.cast_unsigned())?.cast_signed();
    }
    if bits & head::ARGUMENTS != 0 {
        let mask = c.byte()?;
        if mask >> e.args.len() != 0 {
            return Err(Stop::Malformed);
        }
        for (i, arg) in e.args.iter_mut().enumerate() {
            if mask >> i & 1 != 0 {
                *arg = c.delta(*arg)?;
            }
        }
    }
    e.registers = 0;
    if bits & head::REGISTERS != 0 {
        let b = c.take(4)?;
        e.registers = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    }
    Ok((slot, site, bits & head::EFFECTS != 0))
}

/// The event's site: its slot, and what it is compared with, at the event's place.
fn place(bits: u8, c: &mut Cursor<'_>, sites: &Sites) -> Result<(usize, Site), Stop> {
    if bits & 0x80 != 0 || bits & (head::SLOT | head::NEW) == head::SLOT | head::NEW {
        return Err(Stop::Malformed);
    }
    if bits & head::NEW == 0 {
        let slot = if bits & head::SLOT != 0 {
            usize::try_from(c.varint()?).map_err(|_| Stop::Malformed)?
        } else {
            sites.expected()
        };
        return Ok((slot, *sites.get(slot).ok_or(Stop::Malformed)?));
    }
    let mut site = sites.stranger();
    let e = &mut site.event;
    e.kind = Kind::from_byte(c.byte()?).ok_or(Stop::Malformed)?;
    e.flags = c.byte()?;
    e.thread = u16::try_from(c.varint()?).map_err(|_| Stop::Malformed)?;
    e.nr = u32::try_from(c.varint()?).map_err(|_| Stop::Malformed)?;
    e.rip = c.delta(e.rip)?;
    Ok((Sites::slot(&site.event), site))
}
