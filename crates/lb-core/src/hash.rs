//! HAProxy's hash functions (configuration manual, `hash-type` and the converters of these names),
//! 32 bits each.

/// `sdbm`
#[must_use]
pub fn sdbm(key: &[u8]) -> u32 {
    key.iter().fold(0_u32, |hash, byte| {
        u32::from(*byte)
            .wrapping_add(hash << 6)
            .wrapping_add(hash << 16)
            .wrapping_sub(hash)
    })
}

/// `djb2`
#[must_use]
pub fn djb2(key: &[u8]) -> u32 {
    key.iter().fold(5381_u32, |hash, byte| {
        (hash << 5)
            .wrapping_add(hash)
            .wrapping_add(u32::from(*byte))
    })
}

/// `wt6`
#[must_use]
pub fn wt6(key: &[u8]) -> u32 {
    let (mut low, mut high) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut low_turn, mut high_turn) = (6, 18);
    for byte in key {
        let byte = u32::from(*byte);
        let (mixed, summed) = (!(low ^ byte), !high.wrapping_add(byte));
        low = summed.rotate_left(low_turn);
        high = mixed.rotate_left(high_turn);
        let turns = (low >> 16 ^ high) & 0xffff;
        (low_turn, high_turn) = (turns & 0x1f, turns >> 11);
    }
    low ^ high
}

/// `crc32`, that of Ethernet and gzip.
#[must_use]
pub fn crc32(key: &[u8]) -> u32 {
    crc(key, 0xedb8_8320)
}

/// `crc32c`, that of RFC 4960.
#[must_use]
pub fn crc32c(key: &[u8]) -> u32 {
    crc(key, 0x82f6_3b78)
}

fn crc(key: &[u8], polynomial: u32) -> u32 {
    !key.iter().fold(u32::MAX, |hash, byte| {
        (0..8).fold(hash ^ u32::from(*byte), |hash, _| {
            if hash & 1 == 1 {
                hash >> 1 ^ polynomial
            } else {
                hash >> 1
            }
        })
    })
}

/// `avalanche`: every bit of the result depends on every bit of the hash.
#[must_use]
pub const fn avalanche(hash: u32) -> u32 {
    let hash = hash.wrapping_add(0x7ed5_5d16).wrapping_add(hash << 12);
    let hash = hash ^ 0xc761_c23c ^ hash >> 19;
    let hash = hash.wrapping_add(0x1656_67b1).wrapping_add(hash << 5);
    let hash = hash.wrapping_add(0xd3a2_646c) ^ hash << 9;
    let hash = hash.wrapping_add(0xfd70_46c5).wrapping_add(hash << 3);
    let hash = hash ^ 0xb55a_4f09 ^ hash >> 16;
    hash.wrapping_mul(0xc000_0001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_original() {
        // Recorded from HAProxy 2.6.12: sdbm, djb2, wt6, crc32, crc32c, each plain and with avalanche.
        for (key, expected) in [
            (
                "a",
                [
                    (97, 1_830_748_055),
                    (177_670, 3_548_763_807),
                    (1_900_802_597, 1_986_649_387),
                    (3_904_355_907, 1_288_200_982),
                    (3_251_651_376, 626_010_576),
                ],
            ),
            (
                "hello_world",
                [
                    (2_392_486_725, 1_208_773_610),
                    (3_360_082_016, 1_087_594_552),
                    (4_205_156_431, 3_535_578_415),
                    (4_148_080_273, 2_800_739_154),
                    (1_680_342_080, 2_757_512_387),
                ],
            ),
            (
                "10.0.0.1",
                [
                    (2_328_198_470, 1_884_530_463),
                    (2_449_759_777, 4_267_860_023),
                    (2_819_036_262, 3_919_572_834),
                    (654_229_907, 2_412_181_287),
                    (3_363_426_178, 471_992_487),
                ],
            ),
        ] {
            let hashes = [sdbm, djb2, wt6, crc32, crc32c];
            for (hash, (plain, spread)) in hashes.iter().zip(expected) {
                let value = hash(key.as_bytes());
                assert_eq!((value, avalanche(value)), (plain, spread), "{key}");
            }
        }
    }
}
