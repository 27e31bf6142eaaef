//! Sample expressions, ACLs and conditions at run time (configuration manual, section 7).
//!
//! An [`Expr`] asks a [`Facts`] (the connection at hand) for a value and converts it. Whoever has the
//! bytes of a connection decides whether more of them can come; an [`Answer`] says whether that would
//! change it, so that a rule can wait for a whole ClientHello, however it is cut.

mod acl;
mod convert;
mod facts;
mod fetch;
mod hello;
mod matching;
mod payload;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use acl::{Acl, Condition, Term, Test, Verdict};
pub use convert::{Conversion, Map, Operand, Operation};
pub use facts::{Bytes, Facts, Figure, Label, NoFacts, Scope, Variable};
pub use fetch::{Address, Fetch, Side, Unit};
pub use matching::{Method, Pattern, Patterns};
pub use value::Value;

/// An argument of a fetch or a converter, with everything it names found.
#[derive(Debug, Clone)]
pub enum Arg {
    /// Left out.
    Missing,
    /// A number.
    Int(i64),
    /// Text or bytes.
    Text(Vec<u8>),
    /// An address, or an IPv4 or IPv6 network mask.
    Ip(std::net::IpAddr),
    /// A frontend by its index.
    Frontend(usize),
    /// A backend by its index.
    Backend(usize),
    /// A server by the indices of its backend and itself.
    Server(usize, usize),
    /// A stick table by its index.
    Table(usize),
    /// A variable.
    Variable(Variable),
    /// A regular expression.
    Regex(regex::bytes::Regex),
    /// A map.
    Map(std::sync::Arc<Map>),
}

/// What an expression gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The value, if there is one.
    pub value: Option<Value>,
    /// More bytes could change it.
    pub open: bool,
}

impl Answer {
    /// No value, and there never will be.
    pub const NOTHING: Self = Self {
        value: None,
        open: false,
    };
    /// No value yet.
    pub const LATER: Self = Self {
        value: None,
        open: true,
    };

    /// A value that stays.
    #[must_use]
    pub const fn of(value: Value) -> Self {
        Self {
            value: Some(value),
            open: false,
        }
    }
}

/// A fetch and the conversions applied to what it gives.
#[derive(Debug, Clone)]
pub struct Expr {
    fetch: Fetch,
    conversions: Vec<Conversion>,
}

impl Expr {
    /// An expression.
    #[must_use]
    pub const fn new(fetch: Fetch, conversions: Vec<Conversion>) -> Self {
        Self { fetch, conversions }
    }

    /// Its value for the connection that `facts` tells of.
    pub fn value(&self, facts: &mut dyn Facts) -> Answer {
        let mut answer = self.fetch.value(facts);
        for conversion in &self.conversions {
            let Some(value) = answer.value.take() else {
                return answer;
            };
            answer.value = conversion.apply(value, facts);
        }
        answer
    }
}
