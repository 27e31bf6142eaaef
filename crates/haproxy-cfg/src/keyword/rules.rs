//! Rules: `acl`, `tcp-request`, `tcp-response`, `use_backend`, `use-server` and their kin
//! (configuration manual, section 4.2).

mod action;

use std::time::Duration;

use super::proxy::anonymous_defaults;
use super::{Handler, NO_DEFAULTS, PROXY, Row, Status};
use crate::draft::Draft;
use crate::expr;
use crate::expr::condition::{self, acl_line};
use crate::expr::format;
use crate::expr::references::{self, Context};
use crate::line::Line;
use crate::model::{
    Action, Condition, Expr, Format, Mode, Persist, Rule, Rules, Stage, Target, UseBackend,
    UseServer,
};
use crate::number::{self, DelayError, Unit};
use crate::reader::Reader;
use crate::resolve;

type Handle = fn(&mut Reader<'_>, &mut Draft, &Line);

const fn row(name: &'static str, sections: u8, handler: Handle) -> Row {
    Row {
        name,
        sections,
        arity: None,
        status: Status::Full,
        handler: Handler::Proxy(handler),
    }
}

/// The keywords of rules.
pub(crate) const ROWS: &[Row] = &[
    row("tcp-request", PROXY, tcp_request),
    row("tcp-response", PROXY, tcp_response),
    row("acl", PROXY, acl),
    row("use_backend", PROXY | NO_DEFAULTS, use_backend),
    row("use-server", PROXY | NO_DEFAULTS, use_server),
    row("force-persist", PROXY | NO_DEFAULTS, persist),
    row("ignore-persist", PROXY | NO_DEFAULTS, persist),
];

/// Where `use_backend` and `use-server` go, while names are not settled.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// A name as written.
    Name(String),
    /// A name to be computed.
    Computed(Format),
    /// What is wrong with it, said once all is read.
    Wrong(String),
}

/// A `use_backend` or `use-server` line.
#[derive(Debug, Clone)]
pub(crate) struct Switch {
    pub(crate) goal: Goal,
    pub(crate) condition: Option<Condition>,
    pub(crate) place: crate::model::Place,
}

/// The rules of a section while it is being read.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleDraft {
    pub(crate) rules: Rules,
    pub(crate) backends: Vec<Switch>,
    pub(crate) servers: Vec<Switch>,
    /// Tables that `track-scN` rules name, by N.
    pub(crate) tracked: Vec<(usize, String)>,
}

/// Kinds of rules in the order in which they are processed.
const ORDER: &[&str] = &[
    "tcp-request connection",
    "tcp-request session",
    "tcp-request content",
    "http-request",
    "redirect",
    "use_backend",
    "use-server",
];

/// Takes down that a rule of this kind was written; warns if rules that come later were written
/// before it.
pub(crate) fn in_order(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    kind: &'static str,
) {
    let later = ORDER.iter().skip_while(|known| **known != kind).skip(1);
    let mut later = later.filter(|known| draft.rules.contains(known));
    if let Some(later) = later.next() {
        let word = line.arg(0).to_owned();
        reader.warn_at(
            line,
            format!(
                "a '{word}' rule placed after a '{later}' rule will still be processed before."
            ),
        );
    }
    draft.rules.push(kind);
}

fn acl(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    if anonymous_defaults(draft) {
        reader.fatal_at(line, "'acl' not allowed in anonymous 'defaults' section.");
        return;
    }
    acl_line(reader, draft, line);
}

/// What stands behind a rule.
enum Tail {
    /// A condition, or nothing.
    Condition(Option<Condition>),
    /// A word that is neither `if` nor `unless`.
    Unexpected(String),
    /// A condition that is wrong, in the original's words.
    Wrong(String),
}

/// Reads the condition at word `at`, if there is one.
fn tail(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line, at: usize) -> Tail {
    match line.arg(at) {
        "" => Tail::Condition(None),
        "if" | "unless" => match condition::parse(reader, draft, line, at) {
            Ok(condition) => Tail::Condition(Some(condition)),
            Err(wrong) => Tail::Wrong(wrong),
        },
        other => Tail::Unexpected(other.to_owned()),
    }
}

fn tcp_request(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let (word, name) = (draft.word(), draft.name.clone());
    let kind = line.arg(1).to_owned();
    if kind.is_empty() {
        reader.fatal_at(
            line,
            format!("missing argument for 'tcp-request' in {word} '{name}'"),
        );
        return;
    }
    if anonymous_defaults(draft)
        && matches!(
            kind.as_str(),
            "inspect-delay" | "content" | "connection" | "session"
        )
    {
        reader.fatal_at(
            line,
            format!("tcp-request {kind} is not allowed in anonymous 'defaults' sections"),
        );
        return;
    }
    let (stage, order) = match kind.as_str() {
        "inspect-delay" => {
            delay(reader, draft, line);
            return;
        }
        "content" => (
            if draft.has_frontend() {
                Stage::FrontendContent
            } else {
                Stage::BackendContent
            },
            "tcp-request content",
        ),
        "connection" => (Stage::FrontendConnection, "tcp-request connection"),
        "session" => (Stage::FrontendSession, "tcp-request session"),
        other => {
            reader.fatal_at(
                line,
                format!(
                    "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in {word} '{name}' (got '{other}')"
                ),
            );
            return;
        }
    };
    if kind != "content" && !draft.has_frontend() {
        reader.fatal_at(
            line,
            format!("tcp-request {kind} is not allowed because {word} {name} is not a frontend"),
        );
        return;
    }
    let Some(rule) = rule(reader, draft, line, stage, order) else {
        return;
    };
    in_order(reader, draft, line, order);
    let rules = &mut draft.settings.rules.rules;
    match kind.as_str() {
        "content" => rules.request.push(rule),
        "connection" => rules.connection.push(rule),
        _ => rules.session.push(rule),
    }
}

fn tcp_response(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let (word, name) = (draft.word(), draft.name.clone());
    let kind = line.arg(1).to_owned();
    if kind.is_empty() {
        reader.fatal_at(
            line,
            format!("missing argument for 'tcp-response' in {word} '{name}'"),
        );
        return;
    }
    if !matches!(kind.as_str(), "inspect-delay" | "content") {
        reader.fatal_at(
            line,
            format!(
                "'tcp-response' expects 'inspect-delay' or 'content' in {word} '{name}' (got '{kind}')"
            ),
        );
        return;
    }
    if !draft.has_backend() || anonymous_defaults(draft) {
        reader.fatal_at(
            line,
            format!(
                "tcp-response {kind} is only allowed in 'backend' sections or 'defaults' section with a name"
            ),
        );
        return;
    }
    if kind == "inspect-delay" {
        delay(reader, draft, line);
        return;
    }
    let stage = Stage::BackendResponse;
    if let Some(rule) = rule(reader, draft, line, stage, "tcp-response content") {
        draft.settings.rules.rules.response.push(rule);
    }
}

fn delay(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let (word, name) = (draft.word(), draft.name.clone());
    let keyword = line.arg(0).to_owned();
    let written = line.arg(2).to_owned();
    let expects = format!(
        "'{keyword} inspect-delay' expects a positive delay in milliseconds, in {word} '{name}'"
    );
    if written.is_empty() {
        reader.fatal_at(line, expects);
        return;
    }
    let millis = match number::delay(&written, Unit::Milli) {
        Ok((millis, _)) => millis,
        Err(DelayError::Overflow) => {
            reader.fatal_at(
                line,
                format!(
                    "{expects} (timer overflow in '{written}', maximum value is 2147483647 ms or ~24.8 days)"
                ),
            );
            return;
        }
        Err(DelayError::Unexpected(byte)) => {
            reader.fatal_at(line, format!("{expects} (unexpected character '{byte}')"));
            return;
        }
    };
    let rules = &mut draft.settings.rules.rules;
    let delay = if keyword == "tcp-request" {
        &mut rules.request_delay
    } else {
        &mut rules.response_delay
    };
    if delay.is_some() {
        reader.warn_at(
            line,
            format!("ignoring {keyword} inspect-delay (was already defined) in {word} '{name}'"),
        );
        return;
    }
    *delay = (millis > 0).then(|| Duration::from_millis(u64::from(millis)));
}

/// A rule from word 2 on.
fn rule(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    stage: Stage,
    kind: &'static str,
) -> Option<Rule> {
    let (word, name) = (draft.word(), draft.name.clone());
    let mut at = 2;
    let action = match action::read(reader, draft, line, &mut at, stage, kind) {
        Ok(action) => action,
        Err(wrong) => {
            reader.fatal_at(line, wrong);
            return None;
        }
    };
    let called = line.arg(2).to_owned();
    let condition = match tail(reader, draft, line, at) {
        Tail::Condition(condition) => condition,
        Tail::Unexpected(other) => {
            reader.fatal_at(
                line,
                format!(
                    "'{kind} {called}' only accepts 'if' or 'unless', in {word} '{name}' (got '{other}')"
                ),
            );
            return None;
        }
        Tail::Wrong(wrong) => {
            let when = line.arg(at).to_owned();
            reader.fatal_at(
                line,
                format!(
                    "'{kind} {called}' : error detected in {word} '{name}' while parsing '{when}' condition : {wrong}"
                ),
            );
            return None;
        }
    };
    if let Some(condition) = &condition {
        condition::warn_misplaced(reader, draft, line, condition, stage, Some(kind));
    }
    if matches!(action, Action::SetNice(_)) {
        reader.warn_at(
            line,
            "'set-nice' has no effect: every connection is served in turn.",
        );
    }
    Some(Rule {
        action,
        condition,
        place: line.place.clone(),
    })
}

fn use_backend(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "use_backend", true, "");
    let written = line.arg(1).to_owned();
    if written.is_empty() {
        reader.fatal_at(line, "'use_backend' expects a backend name.");
        return;
    }
    let condition = match tail(reader, draft, line, 2) {
        Tail::Condition(condition) => condition,
        Tail::Unexpected(other) => {
            reader.fatal_at(
                line,
                format!(
                    "unexpected keyword '{other}' after switching rule, only 'if' and 'unless' are allowed."
                ),
            );
            return;
        }
        Tail::Wrong(wrong) => {
            reader.fatal_at(
                line,
                format!("error detected while parsing switching rule : {wrong}."),
            );
            return;
        }
    };
    if let Some(condition) = &condition {
        condition::warn_misplaced(reader, draft, line, condition, Stage::UseBackend, None);
    }
    let context = Context::Rule("use_backend expression");
    let goal = goal(reader, draft, line, &written, Stage::UseBackend, &context);
    in_order(reader, draft, line, "use_backend");
    draft.settings.rules.backends.push(Switch {
        goal,
        condition,
        place: line.place.clone(),
    });
}

/// A name, or a format that gives one.
fn goal(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    written: &str,
    stage: Stage,
    context: &Context,
) -> Goal {
    match format::parse(reader, draft, line, written, stage, context) {
        Ok(format) if format.is_plain() => Goal::Name(written.to_owned()),
        Ok(format) => Goal::Computed(format),
        Err(wrong) => {
            // The original says this once all is read.
            let keyword = line.arg(0).to_owned();
            Goal::Wrong(format!(
                "Parsing [{}]: failed to parse {keyword} rule '{written}' : {wrong}.",
                line.at()
            ))
        }
    }
}

fn use_server(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    reader.misplaced(draft, line, "use-server", false, "");
    let written = line.arg(1).to_owned();
    if written.is_empty() {
        reader.fatal_at(line, "'use-server' expects a server name.");
        return;
    }
    let Some(condition) = needed_condition(reader, draft, line, 2) else {
        return;
    };
    condition::warn_misplaced(reader, draft, line, &condition, Stage::UseServer, None);
    let context = Context::Rule("use-server expression");
    let goal = goal(reader, draft, line, &written, Stage::UseServer, &context);
    in_order(reader, draft, line, "use-server");
    draft.settings.rules.servers.push(Switch {
        goal,
        condition: Some(condition),
        place: line.place.clone(),
    });
}

/// The condition that a line must have at word `at`.
fn needed_condition(
    reader: &mut Reader<'_>,
    draft: &mut Draft,
    line: &Line,
    at: usize,
) -> Option<Condition> {
    let keyword = line.arg(0).to_owned();
    match tail(reader, draft, line, at) {
        Tail::Condition(Some(condition)) => Some(condition),
        Tail::Condition(None) | Tail::Unexpected(_) => {
            reader.fatal_at(
                line,
                format!("'{keyword}' requires either 'if' or 'unless' followed by a condition."),
            );
            None
        }
        Tail::Wrong(wrong) => {
            reader.fatal_at(
                line,
                format!("error detected while parsing switching rule : {wrong}."),
            );
            None
        }
    }
}

fn persist(reader: &mut Reader<'_>, draft: &mut Draft, line: &Line) {
    let keyword = line.arg(0).to_owned();
    reader.misplaced(draft, line, &keyword, false, "");
    let Some(condition) = needed_condition(reader, draft, line, 1) else {
        return;
    };
    condition::warn_misplaced(reader, draft, line, &condition, Stage::UseServer, None);
    draft.settings.rules.rules.persist.push(Persist {
        force: keyword == "force-persist",
        condition,
    });
}

/// Whether `defaults` define rules, which not every section may inherit.
pub(crate) fn inherited_rules(draft: &RuleDraft) -> bool {
    let rules = &draft.rules;
    !(rules.connection.is_empty()
        && rules.session.is_empty()
        && rules.request.is_empty()
        && rules.response.is_empty())
}

/// Settles where the rules of section `index` go, and says what is wrong with them.
pub(crate) fn resolve(reader: &mut Reader<'_>, drafts: &[Draft], index: usize) -> Rules {
    let Some(draft) = drafts.get(index) else {
        return Rules::default();
    };
    let draft_rules = &draft.settings.rules;
    let mut rules = draft_rules.rules.clone();
    for switch in &draft_rules.backends {
        let target = match &switch.goal {
            Goal::Name(name) => resolve::named_backend(reader, drafts, index, name, "use_backend")
                .map(Target::Fixed),
            Goal::Computed(format) => Some(Target::Named(format.clone())),
            Goal::Wrong(wrong) => {
                reader.fatal(wrong.clone());
                None
            }
        };
        if let Some(target) = target {
            rules.backends.push(UseBackend {
                target,
                condition: switch.condition.clone(),
                place: switch.place.clone(),
            });
        }
    }
    let (word, name) = (draft.word(), &draft.name);
    for switch in &draft_rules.servers {
        let target = match &switch.goal {
            Goal::Name(wanted) => {
                let found = draft
                    .servers
                    .iter()
                    .position(|known| known.server.name == *wanted);
                if found.is_none() {
                    reader.fatal(format!(
                        "{word} '{name}' : unable to find server '{wanted}' referenced in a 'use-server' rule."
                    ));
                }
                found.map(Target::Fixed)
            }
            Goal::Computed(format) => Some(Target::Named(format.clone())),
            Goal::Wrong(wrong) => {
                reader.fatal(wrong.clone());
                None
            }
        };
        if let (Some(target), Some(condition)) = (target, &switch.condition) {
            rules.servers.push(UseServer {
                target,
                condition: condition.clone(),
                place: switch.place.clone(),
            });
        }
    }
    let mut tables = true;
    for (slot, table) in &draft_rules.tracked {
        let exists = reader.has_table(table)
            || drafts
                .iter()
                .any(|other| other.name == *table && other.has_table());
        tables &= exists;
        if !exists {
            reader.fatal(format!(
                "Proxy '{name}': unable to find table '{table}' referenced by track-sc{slot}."
            ));
        }
    }
    references::resolve(reader, drafts, draft);
    if rules.request_delay.is_none() {
        hasty(reader, draft, &rules, tables);
    }
    unsupported(reader, draft, &rules);
    rules
}

/// Warns of rules that look at bytes without waiting for them; `tables` tells whether those that
/// they count in exist.
fn hasty(reader: &mut Reader<'_>, draft: &Draft, rules: &Rules, tables: bool) {
    let needs =
        |expr: &Expr| !expr.fits(Stage::FrontendSession) && expr.fits(Stage::FrontendContent);
    for rule in &rules.request {
        let (owner, what) = match &rule.action {
            Action::Track { key, .. } if needs(key) && tables => {
                ("proxy", "tcp-request content track-sc*")
            }
            Action::Capture { value, .. } if needs(value) => (draft.word(), "tcp-request capture"),
            _ => continue,
        };
        reader.warn(format!(
            "{owner} '{}' : a '{what}' rule explicitly depending on request contents without any 'tcp-request inspect-delay' setting. This means that this rule will randomly find its contents. This can be fixed by setting the tcp-request inspect-delay.",
            draft.name
        ));
    }
}

/// Refuses rules that need something that does not exist here. An ACL that no rule uses changes
/// nothing.
fn unsupported(reader: &mut Reader<'_>, draft: &Draft, rules: &Rules) {
    if draft.settings.mode == Mode::Http {
        return;
    }
    let backends = rules.backends.iter().map(|rule| {
        let format = match &rule.target {
            Target::Named(format) => Some(format),
            Target::Fixed(_) => None,
        };
        (&rule.place, rule.condition.as_ref(), format)
    });
    let servers = rules.servers.iter().map(|rule| {
        let format = match &rule.target {
            Target::Named(format) => Some(format),
            Target::Fixed(_) => None,
        };
        (&rule.place, Some(&rule.condition), format)
    });
    let own = [
        &rules.connection,
        &rules.session,
        &rules.request,
        &rules.response,
    ];
    let own = own.into_iter().flatten();
    let own: Vec<_> = own.collect();
    let actions = own
        .iter()
        .map(|rule| (&rule.place, rule.condition.as_ref(), None));
    let mut wrong = Vec::new();
    for (place, condition, format) in backends.chain(servers).chain(actions) {
        let terms = condition
            .into_iter()
            .flat_map(|condition| condition.any.iter().flatten());
        let tests = terms
            .filter_map(|term| draft.settings.acls.all.get(term.acl))
            .flat_map(|acl| &acl.tests)
            .map(|test| &test.expr);
        let parts = format.into_iter().flat_map(Format::exprs);
        if let Some(reason) = tests.chain(parts).find_map(expr::refusal) {
            wrong.push((place.clone(), reason));
        }
    }
    for rule in own {
        if let Some(reason) = rule.action.exprs().into_iter().find_map(expr::refusal) {
            wrong.push((rule.place.clone(), reason));
        }
    }
    for (place, reason) in wrong {
        reader.fatal(format!(
            "parsing [{}:{}] : {reason}",
            place.file, place.line
        ));
    }
}
