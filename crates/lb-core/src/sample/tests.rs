use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// A connection of which only some things are known.
#[derive(Default)]
struct Known {
    source: Option<SocketAddr>,
    request: Vec<u8>,
    last: bool,
    variables: BTreeMap<Variable, Value>,
}

impl Facts for Known {
    fn source(&self) -> Option<SocketAddr> {
        self.source
    }
    fn request(&self) -> Bytes<'_> {
        Bytes {
            data: &self.request,
            open: !self.last,
            room: 15_360,
        }
    }
    fn is_final(&self) -> bool {
        self.last
    }
    fn variable(&self, name: &Variable) -> Option<Value> {
        self.variables.get(name).cloned()
    }
    fn set_variable(&mut self, name: &Variable, value: Option<Value>) {
        match value {
            Some(value) => self.variables.insert(name.clone(), value),
            None => self.variables.remove(name),
        };
    }
}

fn fetch(name: &str, args: &[Arg]) -> Fetch {
    Fetch::new(name, args).unwrap_or_else(|| panic!("{name}"))
}

fn converted(value: Value, name: &str, args: &[Arg]) -> Option<Value> {
    let conversion = Conversion::new(name, args).unwrap_or_else(|| panic!("{name}"));
    let expr = Expr::new(Fetch::Constant(value), vec![conversion]);
    expr.value(&mut NoFacts).value
}

fn text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

fn words(value: &str) -> Arg {
    Arg::Text(value.as_bytes().to_vec())
}

/// A ClientHello with a server name and two protocols.
fn hello() -> Vec<u8> {
    let name = b"db.example.com";
    let mut sni = vec![0, 0, 0, 0, 0, 0, 0, 0, 0];
    sni.extend_from_slice(name);
    let length = |sni: &mut Vec<u8>, at: usize, value: usize| {
        let value = u16::try_from(value).unwrap().to_be_bytes();
        sni[at..at + 2].copy_from_slice(&value);
    };
    length(&mut sni, 2, name.len() + 5);
    length(&mut sni, 4, name.len() + 3);
    length(&mut sni, 7, name.len());
    let alpn = b"\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1";
    let extensions = [&sni[..], &alpn[..]].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(body);
    let mut record = vec![0x16, 3, 1];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

#[test]
fn a_hello_is_understood_once_it_is_whole_however_it_is_cut() {
    let whole = hello();
    for end in 0..whole.len() {
        let mut known = Known {
            request: whole[..end].to_vec(),
            ..Known::default()
        };
        for name in ["req.ssl_sni", "req.ssl_hello_type", "req.ssl_alpn"] {
            let answer = Expr::new(fetch(name, &[]), Vec::new()).value(&mut known);
            assert_eq!(answer, Answer::LATER, "{name} of {end} bytes");
        }
    }
    let mut known = Known {
        request: whole,
        ..Known::default()
    };
    for (name, expected) in [
        ("req.ssl_sni", text("db.example.com")),
        ("req.ssl_alpn", text("h2,http/1.1")),
        ("req.ssl_hello_type", Value::Int(1)),
        ("req.ssl_ver", Value::Int(0x3_0003)),
        ("req.ssl_st_ext", Value::Int(0)),
    ] {
        let answer = Expr::new(fetch(name, &[]), Vec::new()).value(&mut known);
        assert_eq!(answer, Answer::of(expected), "{name}");
    }
}

#[test]
fn what_is_no_hello_is_told_with_its_first_byte() {
    for request in [&b"G"[..], b"\x16\x02", b"\x80", b"\x16\x03\x01\0\x30\x02"] {
        let mut known = Known {
            request: request.to_vec(),
            ..Known::default()
        };
        let answer = Expr::new(fetch("req.ssl_sni", &[]), Vec::new()).value(&mut known);
        assert_eq!(answer, Answer::NOTHING, "{request:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_client_do_harm(request in proptest::collection::vec(any::<u8>(), 0..200), hello_at in 0..60_usize) {
        let mut forged = hello();
        for (place, byte) in forged.iter_mut().skip(hello_at).zip(&request) {
            *place = *byte;
        }
        for request in [request, forged] {
            let mut known = Known { request, ..Known::default() };
            for name in ["req.ssl_sni", "req.ssl_alpn", "req.ssl_ver", "req.ssl_st_ext", "req.ssl_ec_ext", "req.rdp_cookie", "req.proto_http", "req.ssl_hello_type"] {
                let _ = Expr::new(fetch(name, &[Arg::Text(Vec::new())]), Vec::new()).value(&mut known);
            }
            let args = [Arg::Int(3), Arg::Int(2), Arg::Int(-4), Arg::Int(1)];
            let _ = Expr::new(fetch("req.payload_lv", &args), Vec::new()).value(&mut known);
        }
    }
}

#[test]
fn payloads_wait_for_their_bytes() {
    let mut known = Known {
        request: b"\0\x03abcd".to_vec(),
        ..Known::default()
    };
    let mut value =
        |name: &str, args: &[Arg]| Expr::new(fetch(name, args), Vec::new()).value(&mut known);
    let bytes = |bytes: &[u8]| Answer::of(Value::Binary(bytes.to_vec()));
    let int = Arg::Int;
    assert_eq!(value("req.payload", &[int(2), int(2)]), bytes(b"ab"));
    assert_eq!(value("req.payload", &[int(2), int(9)]), Answer::LATER);
    assert_eq!(
        value("req.payload", &[int(2), int(90_000)]),
        Answer::NOTHING
    );
    assert_eq!(value("req.payload_lv", &[int(0), int(2)]), bytes(b"abc"));
    assert_eq!(
        value("req.payload_lv", &[int(0), int(2), int(1), int(1)]),
        bytes(b"bcd")
    );
    assert_eq!(
        value("req.payload", &[int(2), int(0)]),
        Answer {
            value: Some(Value::Binary(b"abcd".to_vec())),
            open: true
        }
    );
}

#[test]
fn numbers_and_text_are_converted_as_the_manual_says() {
    let fields = text("f1_f2_f3__f5");
    for (index, count, expected) in [
        (5, 1, "f5"),
        (2, 0, "f2_f3__f5"),
        (2, 2, "f2_f3"),
        (-2, 3, "f2_f3_"),
        (-3, 0, "f1_f2_f3"),
        (9, 1, ""),
    ] {
        let args = [Arg::Int(index), words("_"), Arg::Int(count)];
        assert_eq!(
            converted(fields.clone(), "field", &args),
            Some(text(expected)),
            "{index} {count}"
        );
    }
    let words_of = text("w1_w2_w3__w4");
    for (index, count, expected) in [
        (4, 1, "w4"),
        (2, 0, "w2_w3__w4"),
        (3, 2, "w3__w4"),
        (-2, 3, "w1_w2_w3"),
        (-3, 0, "w1_w2"),
    ] {
        let args = [Arg::Int(index), words("_"), Arg::Int(count)];
        assert_eq!(
            converted(words_of.clone(), "word", &args),
            Some(text(expected)),
            "{index} {count}"
        );
    }
    let bytes = Value::Binary(vec![1, 2, 3, 4, 5, 6, 7]);
    for (separator, size, cut, expected) in [
        (":", 2, 0, "258:772:1286:7"),
        ("-", 2, 1, "258-772-1286"),
        ("", 2, 1, "2587721286"),
    ] {
        let args = [words(separator), Arg::Int(size), Arg::Int(cut)];
        assert_eq!(
            converted(bytes.clone(), "be2dec", &args),
            Some(text(expected))
        );
    }
    assert_eq!(
        converted(bytes, "be2hex", &[words(":"), Arg::Int(2)]),
        Some(text("0102:0304:0506:07"))
    );
    for (name, with, expected) in [
        ("add", 5, 17),
        ("sub", 5, 7),
        ("mul", i64::MAX, i64::MAX),
        ("div", 0, i64::MAX),
        ("mod", 0, 0),
        ("mod", 5, 2),
        ("xor", 4, 8),
    ] {
        assert_eq!(
            converted(Value::Int(12), name, &[Arg::Int(with)]),
            Some(Value::Int(expected)),
            "{name}"
        );
    }
    assert_eq!(
        converted(text("a%20b+c%zz"), "url_dec", &[]),
        Some(text("a b c%zz"))
    );
    assert_eq!(
        converted(text("[::1]:80"), "host_only", &[]),
        Some(text("[::1]"))
    );
    assert_eq!(
        converted(text("12abc"), "add", &[Arg::Int(1)]),
        Some(Value::Int(13))
    );
}

fn patterns(method: Method, list: Vec<Pattern>) -> Patterns {
    Patterns { method, list }
}

fn word(bytes: &str, ignore_case: bool) -> Pattern {
    Pattern::Text {
        bytes: bytes.as_bytes().into(),
        ignore_case,
    }
}

#[test]
fn parts_of_text_match_between_their_delimiters() {
    let url = text("http://www1.dc-eu.example.com:80/blah");
    for (pattern, expected) in [
        ("http", true),
        (".www1", true),
        ("dc-eu.example", true),
        (":www1:", true),
        ("dc-eu.example:80", false),
        ("com:80", true),
        ("eu", false),
        ("dc", false),
    ] {
        let found = patterns(Method::Domain, vec![word(pattern, false)]).matches(&url);
        assert_eq!(found, expected, "{pattern}");
    }
    let path = text("/images/png/logo/32x32.png");
    for (pattern, expected) in [("/images", true), ("png/logo", true), ("32x32", false)] {
        let found = patterns(Method::Directory, vec![word(pattern, false)]).matches(&path);
        assert_eq!(found, expected, "{pattern}");
    }
    let exact = |ignore_case| patterns(Method::Exact, vec![word("Db.Example.com", ignore_case)]);
    assert!(exact(true).matches(&text("db.example.COM")));
    assert!(!exact(false).matches(&text("db.example.COM")));
}

#[test]
fn addresses_match_networks_of_either_family() {
    let net = |net: &str, mask: &str| {
        patterns(
            Method::Ip,
            vec![Pattern::Net(net.parse().unwrap(), mask.parse().unwrap())],
        )
    };
    let ip = |ip: &str| Value::Ip(ip.parse().unwrap());
    let four = net("192.168.0.0", "255.255.0.0");
    for (address, expected) in [
        ("192.168.7.9", true),
        ("10.0.0.1", false),
        ("::ffff:192.168.1.1", true),
        ("::192.168.1.1", true),
        ("2002:c0a8:101::", true),
        ("2001:db8::1", false),
    ] {
        assert_eq!(four.matches(&ip(address)), expected, "{address}");
    }
    let six = net("::ffff:10.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ff00:0");
    assert!(six.matches(&ip("10.9.9.9")));
    assert!(!six.matches(&ip("11.9.9.9")));
}

#[test]
fn a_condition_waits_only_for_what_can_still_change_it() {
    let test = |name: &str, low: i64| {
        Arc::new(Acl {
            tests: vec![Test {
                expr: Expr::new(fetch(name, &[]), Vec::new()),
                patterns: patterns(Method::Int, vec![Pattern::Range(Some(low), None)]),
            }],
        })
    };
    let condition = |terms: Vec<(bool, Arc<Acl>)>| Condition {
        unless: false,
        any: vec![
            terms
                .into_iter()
                .map(|(negated, acl)| Term { negated, acl })
                .collect(),
        ],
    };
    let mut known = Known {
        request: b"abc".to_vec(),
        source: Some("192.0.2.1:9".parse().unwrap()),
        ..Known::default()
    };
    let long = test("req.len", 10);
    let port = test("src_port", 1024);
    let waits = condition(vec![(false, Arc::clone(&long))]);
    assert_eq!(waits.holds(&mut known), Verdict::Later);
    // The port decides, whatever may come.
    let decided = condition(vec![(false, port), (false, Arc::clone(&long))]);
    assert_eq!(decided.holds(&mut known), Verdict::No);
    let short = condition(vec![(false, test("req.len", 1))]);
    assert_eq!(short.holds(&mut known), Verdict::Yes);
    let not = condition(vec![(true, Arc::clone(&long))]);
    assert_eq!(not.holds(&mut known), Verdict::Later);
    known.last = true;
    assert_eq!(not.holds(&mut known), Verdict::Yes);
    assert_eq!(waits.holds(&mut known), Verdict::No);
    assert_eq!(condition(Vec::new()).holds(&mut known), Verdict::Yes);
}

#[test]
fn variables_live_between_expressions() {
    let name = Variable {
        scope: Scope::Connection,
        name: "txn.a".into(),
    };
    let mut known = Known::default();
    let set = Conversion::new("set-var", &[Arg::Variable(name.clone())]).unwrap();
    let upper = Conversion::new("upper", &[]).unwrap();
    Expr::new(Fetch::Constant(text("ab")), vec![upper, set]).value(&mut known);
    let read = Expr::new(fetch("var", &[Arg::Variable(name)]), Vec::new());
    assert_eq!(read.value(&mut known).value, Some(text("AB")));
}

#[test]
fn of_networks_in_a_map_the_narrowest_decides() {
    let net = |net: &str, mask: &str| Pattern::Net(net.parse().unwrap(), mask.parse().unwrap());
    let map = Map {
        keys: patterns(
            Method::Ip,
            vec![net("10.0.0.0", "255.0.0.0"), net("10.1.0.0", "255.255.0.0")],
        ),
        values: vec![text("wide"), text("narrow")],
        default: Some(text("none")),
    };
    let get = |ip: &str| map.get(&Value::Ip(ip.parse().unwrap()));
    assert_eq!(get("10.1.2.3"), Some(text("narrow")));
    assert_eq!(get("10.2.2.3"), Some(text("wide")));
    assert_eq!(get("11.2.2.3"), Some(text("none")));
}
