//! First lines of sections: names, `from`, and what a section inherits.

use crate::draft::{Draft, Kind, LogLine, Settings};
use crate::line::Line;
use crate::model::ProxyKind;
use crate::reader::{Reader, Section};
use crate::text;

impl Reader<'_> {
    /// The first line of a `defaults`, `frontend`, `backend` or `listen` section.
    pub(crate) fn begin(&mut self, line: &Line, kind: Kind) {
        let word = section_word(kind);
        let is_defaults = kind == Kind::Defaults;
        // `defaults from x` has no name of its own.
        let nameless = is_defaults && line.arg(1) == "from" && !line.arg(2).is_empty();
        let name = if nameless { "" } else { line.arg(1) }.to_owned();
        let from_at = if nameless { 1 } else { 2 };
        self.section = Section::Lost;
        if name.is_empty() && !is_defaults {
            self.fatal_at(line, format!("'{word}' expects an <id> argument"));
            self.abort();
            return;
        }
        if !is_defaults && let Some(wrong) = bad_name_byte(&name) {
            self.fatal_at(
                line,
                format!("character '{wrong}' is not permitted in '{word}' name '{name}'."),
            );
        }
        if let Kind::Proxy(kind) = kind {
            self.same_name(line, &name, kind);
        }
        let from = line.arg(from_at) == "from" && !line.arg(from_at + 1).is_empty();
        if is_defaults && line.arg(from_at) == "from" && !from {
            // The original prints the end of the missing name as the wrong character.
            self.fatal_at(line, "character '\0");
            return;
        }
        let settings = if from {
            self.from(line, word, &name, from_at + 1)
        } else {
            let inherited = self.defaults.last().filter(|_| !is_defaults);
            Some(inherited.map(|d| d.settings.clone()).unwrap_or_default())
        };
        let Some(mut settings) = settings else {
            return;
        };
        inherit(&mut settings, kind);
        settings.acls = settings.acls.inherit();
        let first_extra = if from { from_at + 2 } else { 2 };
        if !is_defaults && !line.arg(first_extra).is_empty() {
            if from {
                self.too_many(line, 1, first_extra - 1);
            }
            if kind != Kind::Proxy(ProxyKind::Backend) {
                self.alert_at(
                    line,
                    "please use the 'bind' keyword for listening addresses.",
                );
                return;
            }
        }
        if kind == Kind::Proxy(ProxyKind::Listen) && has_rules(&settings) {
            self.fatal_near(
                line,
                "a listen section cannot inherit from a defaults section defining TCP/HTTP rules.",
            );
            self.abort();
            return;
        }
        if let Kind::Proxy(proxy) = kind
            && has_rules(&settings)
        {
            let wanted = line.arg(from_at + 1).to_owned();
            let origin = if from {
                self.defaults.iter_mut().find(|draft| draft.name == wanted)
            } else {
                self.defaults.last_mut()
            };
            if let Some(origin) = origin {
                origin.heirs.0 |= proxy.has_frontend();
                origin.heirs.1 |= proxy.has_backend();
                if origin.heirs == (true, true) {
                    let place = origin.place.clone();
                    self.fatal_near(
                        line,
                        format!(
                            "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules (defaults section at {}:{}).",
                            place.file, place.line
                        ),
                    );
                    self.abort();
                    return;
                }
            }
        }
        self.open(line, kind, name, settings);
    }

    /// The settings of the `defaults` that word `at` names.
    fn from(&mut self, line: &Line, word: &str, name: &str, at: usize) -> Option<Settings> {
        let wanted = line.arg(at).to_owned();
        let mut found = self
            .defaults
            .iter()
            .filter(|draft| draft.name == wanted)
            .map(|draft| (draft.place.clone(), draft.settings.clone()));
        match (found.next(), found.next()) {
            (Some((_, settings)), None) => Some(settings),
            (Some((first, settings)), Some((second, _))) => {
                self.fatal_at(line, format!(
                    "ambiguous defaults section name '{wanted}' referenced by {word} '{name}' exists at least at {}:{} and {}:{}.",
                    first.file, first.line, second.file, second.line
                ));
                Some(settings)
            }
            (None, _) => {
                self.fatal_at(
                    line,
                    format!("defaults section '{wanted}' not found for {word} '{name}'."),
                );
                self.abort();
                None
            }
        }
    }

    fn open(&mut self, line: &Line, kind: Kind, name: String, settings: Settings) {
        let draft = Draft {
            kind,
            name,
            place: line.place.clone(),
            inherited: (
                settings.timeouts,
                settings.http_timeouts.clone(),
                settings.rate_limit,
            ),
            settings,
            id: None,
            description: None,
            binds: Vec::new(),
            bind_ids: Vec::new(),
            servers: Vec::new(),
            rules: Vec::new(),
            dispatch: false,
            broken: false,
            heirs: (false, false),
        };
        if kind == Kind::Defaults {
            self.defaults.push(draft);
            self.section = Section::Defaults;
        } else {
            self.proxies.push(draft);
            self.section = Section::Proxy;
        }
    }

    /// Two frontends or two backends must not share a name; a frontend and a backend may. A
    /// listen is only compared with frontends, as in the original.
    fn same_name(&mut self, line: &Line, name: &str, kind: ProxyKind) {
        let clash = self.proxies.iter().find(|draft| {
            let same_side = if kind.has_frontend() {
                draft.has_frontend()
            } else {
                draft.has_backend()
            };
            draft.name == name && same_side
        });
        if let Some(other) = clash {
            let text = format!(
                "Parsing [{}]: {} '{name}' has the same name as {} '{name}' declared at {}:{}.",
                line.at(),
                kind.word(),
                other.word(),
                other.place.file,
                other.place.line
            );
            self.fatal(text);
        }
    }
}

/// Takes away what a section of this kind does not inherit.
fn inherit(settings: &mut Settings, kind: Kind) {
    let Kind::Proxy(kind) = kind else {
        return;
    };
    if !kind.has_frontend() {
        settings.default_backend = None;
        settings.log_line = LogLine::None;
        settings.http.remove("monitor-uri");
    }
    if !kind.has_backend() {
        settings.layer7_balance = false;
        settings.http.remove("cookie");
    }
}

fn has_rules(settings: &Settings) -> bool {
    ["http-request", "http-response", "http-after-response"]
        .iter()
        .any(|rule| settings.http.contains_key(rule))
        || crate::keyword::rules::inherited_rules(&settings.rules)
}

/// The word that begins a section of this kind.
pub(crate) const fn section_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Defaults => "defaults",
        Kind::Proxy(ProxyKind::Frontend) => "frontend",
        Kind::Proxy(ProxyKind::Backend) => "backend",
        Kind::Proxy(ProxyKind::Listen) => "listen",
    }
}

/// The first byte that a name must not have, as text.
pub(crate) fn bad_name_byte(name: &str) -> Option<String> {
    text::decode(name)
        .into_iter()
        .find(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')))
        .map(|byte| text::encode(&[byte]))
}
