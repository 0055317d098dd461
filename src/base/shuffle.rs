//! What the shuffle of bytes in a register does at once: SSSE3, which nearly every x86-64
//! processor has, but not by definition. Called by `plain` alone, which asks the processor.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_cvtsi128_si64,
    _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_srli_epi16, _mm_unpackhi_epi8, _mm_unpackhi_epi64, _mm_unpacklo_epi8,
    _mm_unpacklo_epi64, _mm_xor_si128,
};

/// Bytes that are looked at together.
const BLOCK: usize = 16;

/// For each set of eight bytes that take a backslash, by its bits: where each byte of the
/// text comes from, 8 being the backslash.
const SPREAD: [[u8; BLOCK]; 256] = {
    let mut all = [[8; BLOCK]; 256];
    let mut marks = 0;
    while marks < all.len() {
        let (mut at, mut to) = (0, 0);
        while at < 8 {
            to += marks >> at & 1;
            all[marks][to] = at as u8;
            to += 1;
            at += 1;
        }
        marks += 1;
    }
    all
};

/// How many bytes that is.
const USED: [u8; 256] = {
    let mut all = [8; 256];
    let mut marks = 0;
    while marks < all.len() {
        all[marks] += marks.count_ones() as u8;
        marks += 1;
    }
    all
};

/// [`quote_by_shuffle`](super::quote_by_shuffle).
#[target_feature(enable = "ssse3")]
pub(super) fn quote(room: &mut [u8], bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks();
    let mut used = 0;
    for block in blocks {
        used += quote_block(room.get_mut(used..)?.first_chunk_mut()?, block)?;
    }
    if rest.is_empty() {
        return Some(used);
    }
    // The rest with blanks behind it, each of which takes one byte.
    let blanks = BLOCK - rest.len();
    let mut last = [b' '; BLOCK];
    if let Some(block) = bytes.last_chunk() {
        let block = u128::from_le_bytes(*block) >> (8 * blanks);
        let behind = u128::from_le_bytes(last) << (8 * rest.len());
        last = (block | behind).to_le_bytes();
    } else {
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
    }
    used += quote_block(room.get_mut(used..)?.first_chunk_mut()?, &last)?;
    Some(used - blanks)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn quote_block(room: &mut [u8; 2 * BLOCK], block: &[u8; BLOCK]) -> Option<usize> {
    let all = |byte: u8| _mm_set1_epi8(byte as i8);
    let mut text = load(block);
    let quotation_mark = _mm_cmpeq_epi8(text, all(b'"'));
    let mut marks = _mm_or_si128(quotation_mark, _mm_cmpeq_epi8(text, all(b'\\')));
    // The numbers have a sign: below a blank is what is not ASCII, too.
    let below = _mm_cmplt_epi8(text, all(b' '));
    let odd = _mm_or_si128(below, _mm_cmpeq_epi8(text, all(0x7f)));
    if _mm_movemask_epi8(odd) != 0 {
        let mut white = _mm_setzero_si128();
        for (control, letter) in [(b'\t', b't'), (b'\n', b'n'), (b'\r', b'r')] {
            let here = _mm_cmpeq_epi8(text, all(control));
            white = _mm_or_si128(white, here);
            text = _mm_xor_si128(text, _mm_and_si128(here, all(control ^ letter)));
        }
        if _mm_movemask_epi8(_mm_andnot_si128(white, odd)) != 0 {
            return None;
        }
        marks = _mm_or_si128(marks, white);
    }
    let marks = _mm_movemask_epi8(marks) as usize;
    if marks == 0 {
        *room.first_chunk_mut()? = *block;
        return Some(BLOCK);
    }
    let (lower, upper) = (marks & 0xff, marks >> 8 & 0xff);
    let (lower_used, upper_used) = (usize::from(USED[lower]), usize::from(USED[upper]));
    let backslashes = all(b'\\');
    let lower_text = _mm_unpacklo_epi64(text, backslashes);
    *room.first_chunk_mut()? = store(_mm_shuffle_epi8(lower_text, load(&SPREAD[lower])));
    let room = room.get_mut(lower_used..)?;
    let upper_text = _mm_unpackhi_epi64(text, backslashes);
    *room.first_chunk_mut()? = store(_mm_shuffle_epi8(upper_text, load(&SPREAD[upper])));
    Some(lower_used + upper_used)
}

/// [`hex_by_shuffle`](super::hex_by_shuffle); `None` where the bytes are fewer than a block.
#[target_feature(enable = "ssse3")]
pub(super) fn hex(room: &mut [u8], bytes: &[u8]) -> Option<()> {
    // The last block overlaps the one before.
    hex_block(room.last_chunk_mut()?, bytes.last_chunk()?);
    let (blocks, _) = bytes.as_chunks();
    let (rooms, _) = room.as_chunks_mut();
    for (room, block) in rooms.iter_mut().zip(blocks) {
        hex_block(room, block);
    }
    Some(())
}

#[inline]
#[target_feature(enable = "ssse3")]
fn hex_block(room: &mut [u8; 2 * BLOCK], block: &[u8; BLOCK]) {
    let bytes = load(block);
    let digits = load(b"0123456789abcdef");
    let four_bits = _mm_set1_epi8(15);
    let upper = _mm_and_si128(_mm_srli_epi16(bytes, 4), four_bits);
    let upper = _mm_shuffle_epi8(digits, upper);
    let lower = _mm_shuffle_epi8(digits, _mm_and_si128(bytes, four_bits));
    let (first, second) = room.split_at_mut(BLOCK);
    first.copy_from_slice(&store(_mm_unpacklo_epi8(upper, lower)));
    second.copy_from_slice(&store(_mm_unpackhi_epi8(upper, lower)));
}

#[inline]
#[target_feature(enable = "ssse3")]
fn load(bytes: &[u8; BLOCK]) -> __m128i {
    let bytes = u128::from_le_bytes(*bytes);
    _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn store(bytes: __m128i) -> [u8; BLOCK] {
    let lower = _mm_cvtsi128_si64(bytes) as u64;
    let upper = _mm_cvtsi128_si64(_mm_unpackhi_epi64(bytes, bytes)) as u64;
    (u128::from(upper) << 64 | u128::from(lower)).to_le_bytes()
}
