//! Converters: what becomes of values (configuration manual, 7.3.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use regex::bytes::Regex;

use super::value::low_half;
use super::{Arg, Facts, Figure, Method, Patterns, Value, Variable, text};
use crate::hash;

/// The content of a map file.
#[derive(Debug, Clone)]
pub struct Map {
    /// How keys are compared, and the keys.
    pub keys: Patterns,
    /// The value of each key.
    pub values: Vec<Value>,
    /// What a key that is not found gives.
    pub default: Option<Value>,
}

impl Map {
    /// The value for a key. Of networks the narrowest decides, of other keys the first.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<Value> {
        let found = if self.keys.method == Method::Ip {
            self.narrowest(key)
        } else {
            self.keys.find(key)
        };
        found
            .and_then(|index| self.values.get(index))
            .or(self.default.as_ref())
            .cloned()
    }

    fn narrowest(&self, key: &Value) -> Option<usize> {
        let bits = |mask: &IpAddr| match mask {
            IpAddr::V4(mask) => mask.to_bits().count_ones(),
            IpAddr::V6(mask) => mask.to_bits().count_ones(),
        };
        let one = |pattern: &super::Pattern| Patterns {
            method: Method::Ip,
            list: vec![pattern.clone()],
        };
        self.keys
            .list
            .iter()
            .enumerate()
            .filter(|(_, pattern)| one(pattern).matches(key))
            .max_by_key(|(index, pattern)| match pattern {
                super::Pattern::Net(_, mask) => (bits(mask), usize::MAX - index),
                _ => (0, 0),
            })
            .map(|(index, _)| index)
    }
}

/// A number written, or a variable's.
#[derive(Debug, Clone)]
pub enum Operand {
    /// As written.
    Int(i64),
    /// The variable's, 0 if it has none.
    Of(Variable),
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `add`
    Add,
    /// `sub`
    Sub,
    /// `mul`
    Mul,
    /// `div`
    Div,
    /// `mod`
    Mod,
    /// `and`
    And,
    /// `or`
    Or,
    /// `xor`
    Xor,
}

/// One converter with its arguments.
#[derive(Debug, Clone)]
pub enum Conversion {
    /// Arithmetic with an operand.
    Arithmetic(Operation, Operand),
    /// `neg`
    Negative,
    /// `cpl`
    Complement,
    /// `bool`
    Bool,
    /// `not`
    Not,
    /// `odd`
    Odd,
    /// `even`
    Even,
    /// `ipmask`
    Mask(Ipv4Addr, Option<Ipv6Addr>),
    /// A function of text.
    Text(fn(Vec<u8>) -> Vec<u8>),
    /// `length`
    Length,
    /// `ltrim`
    TrimStart(Vec<u8>),
    /// `rtrim`
    TrimEnd(Vec<u8>),
    /// `field`
    Field(i64, Vec<u8>, i64),
    /// `word`
    Word(i64, Vec<u8>, i64),
    /// `bytes`
    Bytes(i64, Option<i64>),
    /// `hex`
    Hex,
    /// `hex2i`
    Hex2Int,
    /// `htonl`
    Htonl,
    /// `be2hex`
    BigEndianHex(Vec<u8>, usize, bool),
    /// `be2dec`
    BigEndianDecimal(Vec<u8>, usize, bool),
    /// `regsub`
    Substitute(Regex, Vec<u8>, bool),
    /// `concat`
    Concat(Vec<u8>, Option<Variable>, Vec<u8>),
    /// `add_item`
    AddItem(Vec<u8>, Option<Variable>, Vec<u8>),
    /// `iif`
    IfElse(Vec<u8>, Vec<u8>),
    /// `strcmp`
    Compare(Variable),
    /// `secure_memcmp`
    SameBytes(Variable),
    /// A hash function, with `avalanche` or without.
    Hash(fn(&[u8]) -> u32, bool),
    /// `set-var`
    SetVariable(Variable),
    /// `unset-var`
    UnsetVariable(Variable),
    /// `map` and its kin.
    Map(Arc<Map>),
    /// `nbsrv`: the usable servers of the backend named.
    UsableServers,
    /// `srv_queue`: connections that wait for the server named.
    ServerQueue,
}

impl Conversion {
    /// The converter of that name; `None` if there is none here.
    #[must_use]
    pub fn new(name: &str, args: &[Arg]) -> Option<Self> {
        let int = |index: usize| match args.get(index) {
            Some(Arg::Int(value)) => Some(*value),
            _ => None,
        };
        let text = |index: usize| match args.get(index) {
            Some(Arg::Text(bytes)) => bytes.clone(),
            _ => Vec::new(),
        };
        let variable = |index: usize| match args.get(index) {
            Some(Arg::Variable(name)) => Some(name.clone()),
            _ => None,
        };
        let chunks = || {
            let size = int(1).and_then(|size| usize::try_from(size).ok());
            (
                text(0),
                size.unwrap_or(usize::MAX),
                int(2).unwrap_or(0) != 0,
            )
        };
        if let Some(operation) = operation(name) {
            let operand = match args.first()? {
                Arg::Int(value) => Operand::Int(*value),
                Arg::Variable(name) => Operand::Of(name.clone()),
                _ => return None,
            };
            return Some(Self::Arithmetic(operation, operand));
        }
        Some(match name {
            "neg" => Self::Negative,
            "cpl" => Self::Complement,
            "bool" => Self::Bool,
            "not" => Self::Not,
            "odd" => Self::Odd,
            "even" => Self::Even,
            "ipmask" => {
                let six = match args.get(1) {
                    Some(Arg::Ip(IpAddr::V6(mask))) => Some(*mask),
                    _ => None,
                };
                match args.first() {
                    Some(Arg::Ip(IpAddr::V4(mask))) => Self::Mask(*mask, six),
                    _ => return None,
                }
            }
            "lower" => Self::Text(|text| text.to_ascii_lowercase()),
            "upper" => Self::Text(|text| text.to_ascii_uppercase()),
            "cut_crlf" => Self::Text(text::first_line),
            "url_dec" => Self::Text(text::url_decode),
            "url_enc" => Self::Text(text::url_encode),
            "host_only" => Self::Text(text::host_only),
            "port_only" => Self::Text(text::port_only),
            "length" => Self::Length,
            "ltrim" => Self::TrimStart(text(0)),
            "rtrim" => Self::TrimEnd(text(0)),
            "field" => Self::Field(int(0)?, text(1), int(2).unwrap_or(1)),
            "word" => Self::Word(int(0)?, text(1), int(2).unwrap_or(1)),
            "bytes" => Self::Bytes(int(0)?, int(1)),
            "hex" => Self::Hex,
            "hex2i" => Self::Hex2Int,
            "htonl" => Self::Htonl,
            "be2hex" => {
                let (separator, size, cut) = chunks();
                Self::BigEndianHex(separator, size, cut)
            }
            "be2dec" => {
                let (separator, size, cut) = chunks();
                Self::BigEndianDecimal(separator, size.min(8), cut)
            }
            "regsub" => match args.first() {
                Some(Arg::Regex(regex)) => {
                    Self::Substitute(regex.clone(), text(1), text(2).contains(&b'g'))
                }
                _ => return None,
            },
            "concat" => Self::Concat(text(0), variable(1), text(2)),
            "add_item" => Self::AddItem(text(0), variable(1), text(2)),
            "iif" => Self::IfElse(text(0), text(1)),
            "strcmp" => Self::Compare(variable(0)?),
            "secure_memcmp" => Self::SameBytes(variable(0)?),
            "set-var" => Self::SetVariable(variable(0)?),
            "unset-var" => Self::UnsetVariable(variable(0)?),
            "nbsrv" => Self::UsableServers,
            "srv_queue" => Self::ServerQueue,
            "sdbm" => Self::Hash(hash::sdbm, int(0) == Some(1)),
            "djb2" => Self::Hash(hash::djb2, int(0) == Some(1)),
            "wt6" => Self::Hash(hash::wt6, int(0) == Some(1)),
            "crc32" => Self::Hash(hash::crc32, int(0) == Some(1)),
            "crc32c" => Self::Hash(hash::crc32c, int(0) == Some(1)),
            _ => match args.first() {
                Some(Arg::Map(map)) => Self::Map(Arc::clone(map)),
                _ => return None,
            },
        })
    }

    /// What becomes of a value.
    pub(super) fn apply(&self, value: Value, facts: &mut dyn Facts) -> Option<Value> {
        Some(match self {
            Self::Arithmetic(operation, operand) => {
                let operand = match operand {
                    Operand::Int(operand) => *operand,
                    Operand::Of(name) => facts.variable(name)?.to_int()?,
                };
                Value::Int(calculate(*operation, value.to_int()?, operand))
            }
            Self::Negative => Value::Int(value.to_int()?.wrapping_neg()),
            Self::Complement => Value::Int(!value.to_int()?),
            Self::Bool => Value::Bool(value.to_int()? != 0),
            Self::Not => Value::Bool(value.to_int()? == 0),
            Self::Odd => Value::Bool(value.to_int()? & 1 == 1),
            Self::Even => Value::Bool(value.to_int()? & 1 == 0),
            Self::Mask(four, six) => match (value.to_ip()?, six) {
                (IpAddr::V4(ip), _) => {
                    Value::Ip(Ipv4Addr::from_bits(ip.to_bits() & four.to_bits()).into())
                }
                (IpAddr::V6(ip), Some(six)) => {
                    Value::Ip(Ipv6Addr::from_bits(ip.to_bits() & six.to_bits()).into())
                }
                (IpAddr::V6(_), None) => return None,
            },
            Self::Text(change) => Value::Text(change(value.into_text())),
            Self::Length => Value::Int(i64::try_from(value.into_text().len()).unwrap_or(i64::MAX)),
            Self::TrimStart(set) => Value::Text(text::trim_start(value.into_text(), set)),
            Self::TrimEnd(set) => Value::Text(text::trim_end(value.into_text(), set)),
            Self::Field(index, delimiters, count) => {
                Value::Text(text::field(&value.into_text(), *index, delimiters, *count))
            }
            Self::Word(index, delimiters, count) => {
                Value::Text(text::word(&value.into_text(), *index, delimiters, *count))
            }
            Self::Bytes(offset, length) => text::part(value.into_bytes(), *offset, *length),
            Self::Hex => Value::Text(text::hex(&value.into_bytes(), &[], usize::MAX, false)),
            Self::Hex2Int => Value::Int(text::from_hex(&value.into_text())?),
            Self::Htonl => Value::Binary(low_half(value.to_int()?).to_be_bytes().to_vec()),
            Self::BigEndianHex(separator, size, cut) => {
                Value::Text(text::hex(&value.into_bytes(), separator, *size, *cut))
            }
            Self::BigEndianDecimal(separator, size, cut) => {
                Value::Text(text::decimal(&value.into_bytes(), separator, *size, *cut))
            }
            Self::Substitute(regex, with, all) => {
                Value::Text(text::substitute(regex, &value.into_text(), with, *all))
            }
            Self::Concat(start, name, end) => {
                let mut text = value.into_text();
                text.extend_from_slice(start);
                text.extend(variable_text(facts, name.as_ref()));
                text.extend_from_slice(end);
                Value::Text(text)
            }
            Self::AddItem(delimiter, name, suffix) => {
                let mut text = value.into_text();
                let item = variable_text(facts, name.as_ref());
                let adds = !item.is_empty() || !suffix.is_empty();
                if adds && !text.is_empty() {
                    text.extend_from_slice(delimiter);
                }
                text.extend(item);
                text.extend_from_slice(suffix);
                Value::Text(text)
            }
            Self::IfElse(yes, no) => {
                let chosen = if value.to_bool()? { yes } else { no };
                Value::Text(chosen.clone())
            }
            Self::Compare(name) => {
                let other = facts.variable(name)?.into_text();
                Value::Int(text::compare(&value.into_text(), &other))
            }
            Self::SameBytes(name) => {
                let other = facts.variable(name)?.into_bytes();
                Value::Bool(text::same(&value.into_bytes(), &other))
            }
            Self::Hash(hash, spread) => {
                let hash = hash(&value.into_bytes());
                let hash = if *spread { hash::avalanche(hash) } else { hash };
                Value::Int(i64::from(hash))
            }
            Self::SetVariable(name) => {
                facts.set_variable(name, Some(value.clone()));
                value
            }
            Self::UnsetVariable(name) => {
                facts.set_variable(name, None);
                value
            }
            Self::Map(map) => return map.get(&value),
            Self::UsableServers => {
                let backend = facts.backend_named(&value.into_text())?;
                Value::Int(facts.figure(Figure::UsableServers(backend))?)
            }
            Self::ServerQueue => {
                let name = value.into_text();
                let (backend, server) = match name.iter().position(|byte| *byte == b'/') {
                    Some(slash) => {
                        let backend = facts.backend_named(name.get(..slash)?)?;
                        (backend, name.get(slash + 1..)?)
                    }
                    None => (facts.backend_named(b"")?, name.as_slice()),
                };
                let server = facts.server_named(backend, server)?;
                Value::Int(facts.figure(Figure::ServerQueue(backend, server))?)
            }
        })
    }
}

fn variable_text(facts: &dyn Facts, name: Option<&Variable>) -> Vec<u8> {
    name.and_then(|name| facts.variable(name))
        .map(Value::into_text)
        .unwrap_or_default()
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "add" => Operation::Add,
        "sub" => Operation::Sub,
        "mul" => Operation::Mul,
        "div" => Operation::Div,
        "mod" => Operation::Mod,
        "and" => Operation::And,
        "or" => Operation::Or,
        "xor" => Operation::Xor,
        _ => return None,
    })
}

/// Results that do not fit are the largest or smallest number; a division by zero gives the largest,
/// a remainder of it zero.
fn calculate(operation: Operation, left: i64, right: i64) -> i64 {
    match operation {
        Operation::Add => left.saturating_add(right),
        Operation::Sub => left.saturating_sub(right),
        Operation::Mul => left.saturating_mul(right),
        Operation::Div => left.checked_div(right).unwrap_or(i64::MAX),
        Operation::Mod => left.checked_rem(right).unwrap_or(0),
        Operation::And => left & right,
        Operation::Or => left | right,
        Operation::Xor => left ^ right,
    }
}
