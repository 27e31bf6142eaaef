//! `.if` and its kin, `.notice`, `.warning`, `.alert`, `.diag` (configuration manual, section
//! 2.4).

use crate::line::Line;
use crate::reader::Reader;
use crate::report::Level;
use crate::{condition, lex, text};

/// Deepest nesting of `.if`.
const DEEPEST_IF: usize = 64;

/// Where a `.if` block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// Its condition holds.
    Active,
    /// No condition of it held yet.
    Waiting,
    /// One held before, or the block around it is skipped.
    Done,
    /// `.else`, which holds.
    Else,
    /// `.else`, which does not hold.
    ElseSkipped,
}

impl Block {
    /// Whether lines in it count.
    pub(crate) const fn active(self) -> bool {
        matches!(self, Self::Active | Self::Else)
    }
}

impl Reader<'_> {
    /// A line that begins with a dot.
    pub(crate) fn directive(&mut self, line: &Line, blocks: &mut Vec<Block>) {
        let skipping = blocks.iter().any(|block| !block.active());
        let parent_skipping = blocks.iter().rev().skip(1).any(|block| !block.active());
        let word = line.arg(0).to_owned();
        match word.as_str() {
            ".if" => {
                if blocks.len() >= DEEPEST_IF {
                    self.fatal_near(line, "too many nested '.if', max is 64.");
                    self.abort();
                    return;
                }
                let state = if skipping {
                    Block::Done
                } else {
                    match self.evaluate(line, ".if") {
                        Some(true) => Block::Active,
                        Some(false) => Block::Waiting,
                        None => return,
                    }
                };
                blocks.push(state);
            }
            ".elif" | ".else" => {
                if word == ".else" && self.extra(line) {
                    return;
                }
                let Some(&block) = blocks.last() else {
                    self.fatal_near(line, format!("lone '{word}' with no matching '.if'."));
                    self.abort();
                    return;
                };
                if matches!(block, Block::Else | Block::ElseSkipped) {
                    self.fatal_near(line, format!("'{word}' after '.else' is not permitted."));
                    self.abort();
                    return;
                }
                let open = block == Block::Waiting && !parent_skipping;
                let next = if word == ".else" {
                    if open {
                        Block::Else
                    } else {
                        Block::ElseSkipped
                    }
                } else if open {
                    match self.evaluate(line, ".elif") {
                        Some(true) => Block::Active,
                        Some(false) => Block::Waiting,
                        None => return,
                    }
                } else {
                    Block::Done
                };
                if let Some(last) = blocks.last_mut() {
                    *last = next;
                }
            }
            ".endif" => {
                if self.extra(line) {
                    return;
                }
                if blocks.pop().is_none() {
                    self.fatal_near(line, "lone '.endif' with no matching '.if'.");
                    self.stop();
                }
            }
            _ if skipping => {}
            ".notice" | ".warning" | ".alert" | ".diag" => {
                let extra = line.arg(2).to_owned();
                if !extra.is_empty() {
                    self.fatal_near(line, format!(
                        "Unexpected argument '{extra}' for '{word}'. Use quotes if the message should contain spaces."
                    ));
                    return;
                }
                let text = format!("parsing [{}]: '{}'.", line.at(), line.arg(1));
                match word.as_str() {
                    ".notice" => self.say(Level::Notice, text),
                    ".warning" => self.warn(text),
                    ".diag" => {
                        self.say(Level::Diag, text);
                    }
                    _ => {
                        self.fatal(text);
                        self.abort();
                    }
                }
            }
            _ => self.fatal_near(line, format!("unknown directive '{word}'.")),
        }
    }

    fn extra(&mut self, line: &Line) -> bool {
        let extra = line.arg(1).to_owned();
        if extra.is_empty() {
            return false;
        }
        self.fatal_near(
            line,
            format!("Unexpected argument '{extra}' for '{}'.", line.arg(0)),
        );
        self.stop();
        true
    }

    fn evaluate(&mut self, line: &Line, word: &str) -> Option<bool> {
        let expression = line.words.get(1..).unwrap_or_default().join(" ");
        let lookup = |name: &[u8]| self.variables.get(name).cloned();
        match condition::evaluate(&expression, &lookup) {
            Ok(result) => Some(result),
            Err(error) => {
                let (cited, column) = lex::citation(&text::decode(&expression), error.at);
                self.fatal(format!(
                    "parsing [{}]: {} in '{word}' at position {}:\n  {word} {cited}\n  {:>width$}",
                    line.at(),
                    error.what,
                    error.at + 1,
                    "^",
                    width = column + word.len() + 2
                ));
                self.abort();
                None
            }
        }
    }
}
