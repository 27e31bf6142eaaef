//! What certain fetches and converters want of their arguments beyond their kind.

use std::sync::Arc;

use super::{pattern, variable};
use crate::model::{Arg, Map, Method, ValueKind};
use crate::reader::Reader;
use crate::text;

/// Text of an argument, empty if it was left out.
fn text_of(args: &[Arg], index: usize) -> String {
    match args.get(index) {
        Some(Arg::Text(bytes)) => text::encode(bytes),
        _ => String::new(),
    }
}

fn set(args: &mut Vec<Arg>, index: usize, arg: Arg) {
    match args.get_mut(index) {
        Some(place) => *place = arg,
        None => args.push(arg),
    }
}

/// Looks at the arguments of a fetch, and puts what was read from them in their place.
///
/// # Errors
/// In the original's words.
pub(super) fn fetch(_: &Reader<'_>, name: &str, args: &mut Vec<Arg>) -> Result<(), String> {
    match name {
        "bool" => {
            let value = match text_of(args, 0).as_str() {
                "true" | "1" => 1,
                "false" | "0" => 0,
                _ => return Err(String::from("Expects 'true', 'false', '0' or '1'")),
            };
            set(args, 0, Arg::Int(value));
        }
        "bin" => {
            let bytes = pattern::hex(&text_of(args, 0))?;
            set(args, 0, Arg::Text(bytes));
        }
        "payload_lv" | "req.payload_lv" | "res.payload_lv" => {
            if !matches!(args.get(1), Some(Arg::Int(1..))) {
                return Err(String::from("payload length must be > 0"));
            }
            if args.len() > 2 {
                let written = text_of(args, 2);
                let digits = written.strip_prefix(['+', '-']).unwrap_or(&written);
                let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                if !number {
                    return Err(String::from("payload offset2 is not a number"));
                }
                // Whether it counts from the first offset stands in a fourth argument.
                let relative = digits.len() < written.len();
                args.truncate(2);
                args.push(Arg::Int(crate::number::atol(&written)));
                args.push(Arg::Int(i64::from(relative)));
            }
        }
        "var" => {
            let name = variable(&text_of(args, 0))?;
            set(args, 0, Arg::Variable(name));
        }
        "date" => unit(args, 1, "'s', 'ms' or 'us'", &["s", "ms", "us"])?,
        "fc_rtt" | "fc_rttvar" => unit(args, 0, "'us' or 'ms'", &["us", "ms"])?,
        "uuid" => match args.first() {
            Some(Arg::Int(version)) if *version != 4 => {
                return Err(format!("Unsupported UUID version: '{version}'"));
            }
            _ => {}
        },
        _ => {}
    }
    Ok(())
}

fn unit(args: &[Arg], index: usize, expected: &str, units: &[&str]) -> Result<(), String> {
    let written = text_of(args, index);
    if args.len() > index && !units.contains(&written.as_str()) {
        return Err(format!("expects {expected}, got '{written}'"));
    }
    Ok(())
}

/// The same for a converter.
///
/// # Errors
/// In the original's words.
pub(super) fn converter(
    reader: &Reader<'_>,
    name: &str,
    args: &mut Vec<Arg>,
) -> Result<(), String> {
    match name {
        "add" | "sub" | "mul" | "div" | "mod" | "and" | "or" | "xor" => {
            let written = text_of(args, 0);
            let digits = written.strip_prefix(['+', '-']).unwrap_or(&written);
            let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let arg = if number {
                Arg::Int(crate::number::atol(&written))
            } else if let Ok(name) = variable(&written) {
                Arg::Variable(name)
            } else {
                return Err(String::from("expects an integer or a variable name"));
            };
            set(args, 0, arg);
        }
        "field" | "word" if args.first() == Some(&Arg::Int(0)) => {
            return Err(String::from("Unexpected value 0 for index"));
        }
        "regsub" => {
            let flags = text_of(args, 2);
            if let Some(wrong) = flags.chars().find(|flag| !matches!(flag, 'i' | 'g')) {
                return Err(format!(
                    "invalid regex flag '{wrong}', only 'i' and 'g' are supported"
                ));
            }
        }
        "concat" | "add_item" if args.len() > 1 => register(args, 1)?,
        "strcmp" | "secure_memcmp" => register(args, 0)?,
        "set-var" | "unset-var" => {
            let name = variable(&text_of(args, 0))?;
            set(args, 0, Arg::Variable(name));
        }
        "sha2" => match args.first() {
            None | Some(Arg::Int(224 | 256 | 384 | 512)) => {}
            Some(Arg::Int(bits)) => {
                return Err(format!("Unsupported number of bits: '{bits}'"));
            }
            Some(_) => {}
        },
        "digest" => digest(&text_of(args, 0))?,
        "hmac" => digest(&text_of(args, 0))?,
        "json" => {
            let codes = ["", "ascii", "utf8", "utf8s", "utf8p", "utf8ps"];
            if !codes.contains(&text_of(args, 0).as_str()) {
                return Err(String::from(
                    "Unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'",
                ));
            }
        }
        "url_enc" if !matches!(text_of(args, 0).as_str(), "" | "query") => {
            return Err(String::from(
                "Unexpected encode type. Allowed value is 'query'",
            ));
        }
        "http_date" => unit(args, 1, "'s', 'ms' or 'us'", &["s", "ms", "us"])?,
        "be2dec" => {
            if let Some(Arg::Int(size)) = args.get(1)
                && !(1..=8).contains(size)
            {
                return Err(format!("chunk_size out of [1..8] range ({size})"));
            }
        }
        "be2hex" => {
            if let Some(Arg::Int(size)) = args.get(1)
                && *size <= 0
            {
                return Err(format!("chunk_size needs to be positive ({size})"));
            }
        }
        _ if name == "map" || name.starts_with("map_") => {
            let map = map(reader, name, args)?;
            *args = vec![Arg::Map(Arc::new(map))];
        }
        _ => {}
    }
    Ok(())
}

fn digest(name: &str) -> Result<(), String> {
    let known = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
    if known.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(String::from(
        "algorithm must be a valid OpenSSL message digest name.",
    ))
}

fn register(args: &mut Vec<Arg>, index: usize) -> Result<(), String> {
    let written = text_of(args, index);
    let name =
        variable(&written).map_err(|_| format!("failed to register variable name '{written}'"))?;
    set(args, index, Arg::Variable(name));
    Ok(())
}

/// The map of a `map*` converter: `map_<method>_<output>(file[,default])`.
fn map(reader: &Reader<'_>, name: &str, args: &[Arg]) -> Result<Map, String> {
    let mut parts = name.split('_').skip(1);
    let method = match parts.next().unwrap_or("str") {
        "regm" => Method::Regex,
        part => pattern::method(part).unwrap_or(Method::Exact),
    };
    let output = match parts.next() {
        Some("int") => ValueKind::Int,
        Some("ip") => ValueKind::Addr,
        _ => ValueKind::Text,
    };
    let file = text_of(args, 0);
    let form = pattern::Form {
        method,
        dotted: false,
        ignore_case: false,
        no_lookup: true,
    };
    let entries = pattern::file(reader, form, &file, true)?;
    let default = match args.get(1) {
        Some(Arg::Text(bytes)) => Some(bytes.clone()),
        Some(Arg::Int(number)) => Some(number.to_string().into_bytes()),
        _ => None,
    };
    let check = |value: &[u8], what: &str| -> Result<(), String> {
        let text = text::encode(value);
        match output {
            ValueKind::Addr if text.parse::<std::net::IpAddr>().is_err() => {
                Err(format!("{what} <{text}>"))
            }
            _ => Ok(()),
        }
    };
    if let Some(default) = &default {
        check(default, "map: cannot parse default ip").map_err(|wrong| format!("{wrong}."))?;
    }
    for (_, value) in &entries {
        check(value, "cannot parse ip")?;
    }
    Ok(Map {
        file,
        method,
        output,
        entries,
        default,
    })
}
