//! Tests of bytes in blocks: nearly every text of a capture is tested.

/// Bytes that are looked at together.
pub const BLOCK: usize = 16;

/// Returns whether `test` holds for any byte. In blocks without a branch inside, the last of which
/// overlaps the one before: half the instructions of a loop over the odd bytes at the end.
#[inline(always)]
pub fn any(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    let within = |block: &[u8; BLOCK]| block.iter().fold(false, |found, byte| found | test(*byte));
    let Some(last) = bytes.last_chunk() else {
        return short(bytes).is_some_and(|block| within(&block));
    };
    let (blocks, _) = bytes.as_chunks();
    blocks.iter().any(within) || within(last)
}

/// Returns how many bytes at the beginning fill whole blocks in which `test` holds for no byte.
#[inline(always)]
pub fn blocks_without(bytes: &[u8], test: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let without =
        |block: &&[u8; BLOCK]| !block.iter().fold(false, |found, byte| found | test(*byte));
    BLOCK * blocks.iter().take_while(without).count()
}

/// Copies `bytes` into a `room` of their length while `test` holds for each; returns `false` where
/// it does not, and then the contents of `room` are of no use. Tested and copied at once, in
/// blocks of which the last overlaps the one before: a copy of varying length is a call.
#[inline(always)]
pub fn copy_where(room: &mut [u8], bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    let within = |block: &[u8; BLOCK]| (block.iter()).fold(true, |all, byte| all & test(*byte));
    let (Some(last), Some(last_room)) = (bytes.last_chunk(), room.last_chunk_mut()) else {
        copy_short(room, bytes);
        return short(bytes).is_none_or(|block| within(&block));
    };
    *last_room = *last;
    let (blocks, _) = bytes.as_chunks();
    let (rooms, _) = room.as_chunks_mut();
    for (room, block) in rooms.iter_mut().zip(blocks) {
        if !within(block) {
            return false;
        }
        *room = *block;
    }
    within(last)
}

/// Copies fewer bytes than a block has, by pieces that overlap.
#[inline(always)]
fn copy_short(room: &mut [u8], bytes: &[u8]) {
    if !copy_ends::<8>(room, bytes) && !copy_ends::<4>(room, bytes) {
        // Three at most.
        for (room, byte) in room.iter_mut().zip(bytes) {
            *room = *byte;
        }
    }
}

/// Copies the first and the last `N` bytes; returns `false` where there are not that many.
#[inline(always)]
fn copy_ends<const N: usize>(room: &mut [u8], bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return false;
    };
    if let Some(room) = room.first_chunk_mut() {
        *room = *first;
    }
    if let Some(room) = room.last_chunk_mut() {
        *room = *last;
    }
    true
}

/// Returns a block with just the bytes of `bytes`, which are fewer than a block has, each at
/// least once; `None` where there is none. By pieces that overlap: byte by byte a word of a few
/// letters took 450 instructions.
#[inline(always)]
fn short(bytes: &[u8]) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let (lower, upper) = block.split_at_mut(8);
        lower.copy_from_slice(first);
        upper.copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        let both = u128::from(last) << 32 | u128::from(first);
        block = (both << 64 | both).to_le_bytes();
    } else {
        // Three at most.
        let (first, last) = (bytes.first()?, bytes.last()?);
        block = [*first; BLOCK];
        block[1] = *bytes.get(bytes.len() / 2)?;
        block[2] = *last;
    }
    Some(block)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn blocks_find_what_a_loop_over_the_bytes_finds(
            bytes in proptest::collection::vec(0..4u8, 0..40),
            sought in 0..4u8,
        ) {
            prop_assert_eq!(super::any(&bytes, |byte| byte == sought), bytes.contains(&sought));
        }

        #[test]
        fn bytes_in_whole_blocks_without_one_are_counted(
            bytes in proptest::collection::vec(0..40u8, 0..70),
        ) {
            let first = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            let counted = super::blocks_without(&bytes, |byte| byte == 0);
            prop_assert_eq!(counted, first / super::BLOCK * super::BLOCK);
        }

        #[test]
        fn bytes_are_copied_where_the_test_holds_of_each(
            bytes in proptest::collection::vec(0..200u8, 0..70),
        ) {
            let mut room = vec![0xff; bytes.len()];
            let held = super::copy_where(&mut room, &bytes, |byte| byte != 0);
            prop_assert_eq!(held, !bytes.contains(&0));
            if held {
                prop_assert_eq!(room, bytes);
            }
        }
    }
}
