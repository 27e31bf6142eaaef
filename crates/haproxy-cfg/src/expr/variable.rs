//! Names of variables: a scope, a dot and a name.

use crate::model::{Scope, Variable};

/// Reads a variable's name.
///
/// # Errors
/// In the original's words.
pub(crate) fn parse(text: &str) -> Result<Variable, String> {
    if text.is_empty() {
        return Err(String::from("Empty variable name cannot be accepted"));
    }
    let found = text.split_once('.').and_then(|(scope, name)| {
        let scope = match scope {
            "proc" => Scope::Process,
            "sess" => Scope::Session,
            "txn" => Scope::Transaction,
            "req" => Scope::Request,
            "res" => Scope::Response,
            "check" => Scope::Check,
            _ => return None,
        };
        (!name.is_empty()).then_some((scope, name))
    });
    let Some((scope, name)) = found else {
        return Err(format!(
            "invalid variable name '{text}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'"
        ));
    };
    let wrong = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
    if let Some(at) = wrong {
        return Err(format!(
            "invalid syntax at char '{}'",
            name.get(at..).unwrap_or_default()
        ));
    }
    Ok(Variable {
        scope,
        name: name.to_owned(),
    })
}
