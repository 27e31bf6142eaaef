//! Any bytes through the PROXY protocol's decoder. What is read can be written again and means the
//! same; no beginning of a header is refused.
#![no_main]

use lb_core::proxyproto::{Content, Form, Options, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = decode(bytes) else {
        return;
    };
    assert!(header.length <= bytes.len());
    assert_eq!(decode(&bytes[..header.length]), Ok(Some(header.clone())));
    for length in 0..header.length {
        assert_eq!(decode(&bytes[..length]), Ok(None));
    }
    let content = Content {
        addresses: header.addresses,
        authority: header.authority.as_deref(),
        ..Content::default()
    };
    for binary in [false, true] {
        let options = Options {
            authority: true,
            crc32c: true,
            ..Options::default()
        };
        let again = encode(Form { binary, options }, &content);
        let again = decode(&again).unwrap().unwrap();
        assert_eq!(again.addresses, header.addresses);
        if binary && header.addresses.is_some() {
            assert_eq!(again.authority, header.authority);
        }
    }
});
