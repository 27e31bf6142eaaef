//! ACLs and conditions with three outcomes: what is not certain yet is neither true nor false.

use std::sync::Arc;

use super::{Expr, Facts, Patterns};

/// The outcome of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does not hold.
    No,
    /// That depends on bytes still to come.
    Later,
    /// It holds.
    Yes,
}

impl Verdict {
    const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Later => Self::Later,
            Self::Yes => Self::No,
        }
    }
}

/// One comparison.
#[derive(Debug, Clone)]
pub struct Test {
    /// What is looked at.
    pub expr: Expr,
    /// What it is compared with.
    pub patterns: Patterns,
}

/// True if one of its tests is.
#[derive(Debug, Clone)]
pub struct Acl {
    /// The tests.
    pub tests: Vec<Test>,
}

impl Acl {
    fn holds(&self, facts: &mut dyn Facts) -> Verdict {
        let mut verdict = Verdict::No;
        for test in &self.tests {
            let answer = test.expr.value(facts);
            let matches = answer
                .value
                .as_ref()
                .is_some_and(|value| test.patterns.matches(value));
            if matches {
                return Verdict::Yes;
            }
            if answer.open && !facts.is_final() {
                verdict = Verdict::Later;
            }
        }
        verdict
    }
}

/// An ACL in a condition.
#[derive(Debug, Clone)]
pub struct Term {
    /// `!` before it.
    pub negated: bool,
    /// The ACL.
    pub acl: Arc<Acl>,
}

/// Alternatives, each of which wants all of its terms.
#[derive(Debug, Clone)]
pub struct Condition {
    /// `unless`: the outcome is turned round.
    pub unless: bool,
    /// The alternatives.
    pub any: Vec<Vec<Term>>,
}

impl Condition {
    /// Whether it holds for the connection that `facts` tells of.
    pub fn holds(&self, facts: &mut dyn Facts) -> Verdict {
        let mut found = Verdict::No;
        for terms in &self.any {
            let mut all = Verdict::Yes;
            for term in terms {
                let verdict = term.acl.holds(facts);
                all = if term.negated { verdict.not() } else { verdict };
                if all != Verdict::Yes {
                    break;
                }
            }
            match all {
                Verdict::Yes => {
                    found = Verdict::Yes;
                    break;
                }
                Verdict::Later => found = Verdict::Later,
                Verdict::No => {}
            }
        }
        if self.unless { found.not() } else { found }
    }
}
