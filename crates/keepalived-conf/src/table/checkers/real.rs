//! `real_server`.

use super::super::{Action, Block, Handled, Row, nothing};
use super::*;

macro_rules! row {
    ($name:literal, $take:expr) => {
        Row::accepted($name, "", $take, REASON)
    };
}

/// A checker, which is a block of words.
macro_rules! check {
    ($name:literal, $inside:ident, $close:expr) => {
        row!($name, nothing).with_action(Action::Enter {
            open: checks::open,
            inside: Block::$inside,
            close: $close,
        })
    };
}

pub(in crate::table) const ROWS: &[Row] = &[
    row!("weight", |pass, line| {
        let complaint = "Real server weight {} is outside range 0-2147483647";
        let read = count(pass, line, 0, i32::MAX.cast_unsigned(), complaint)?;
        if let (Some(real), Some(read)) = (current_real(pass), read) {
            real.weight = i64::from(read);
        }
        Ok(())
    }),
    row!("lvs_method", |pass, line| {
        let read = method(pass, line, "real server")?;
        if let (Some(real), Some(read)) = (current_real(pass), read) {
            real.method = Some(read);
        }
        Ok(())
    }),
    row!("uthreshold", |pass, line| {
        let complaint = "Invalid real_server uthreshold '{}' - ignoring";
        count(pass, line, 0, u32::MAX, complaint).map(drop)
    }),
    row!("lthreshold", |pass, line| {
        let complaint = "Invalid real_server lthreshold '{}' - ignoring";
        count(pass, line, 0, u32::MAX, complaint).map(drop)
    }),
    row!("notify_up", script),
    row!("notify_down", script),
    row!("smtp_alert", |pass, line| switch(
        pass,
        line,
        "Invalid real_server smtp_alert parameter {}"
    )),
    row!("virtualhost", |pass, line| named(
        pass,
        line,
        "real server virtualhost missing"
    )),
    row!("snmp_name", |pass, line| {
        if line.words.len() != 2 {
            pass.complain("real server snmp_name missing or extra parameters");
        }
        Ok(())
    }),
    row!("alpha", |pass, line| switch(
        pass,
        line,
        "Invalid alpha parameter {}"
    )),
    row!("connect_timeout", |pass, line| time(
        pass,
        line,
        1,
        MAX_32,
        "real server connect_timeout {} invalid - ignoring"
    )),
    row!("retry", |pass, line| count(
        pass,
        line,
        1,
        u32::MAX,
        "retry value invalid - {}"
    )
    .map(drop)),
    row!("delay_before_retry", |pass, line| time(
        pass,
        line,
        0,
        MAX_64,
        "real server delay_before_retry '{}' invalid - ignoring"
    )),
    row!("warmup", |pass, line| time(
        pass,
        line,
        0,
        MAX_64,
        "real server warmup '{}' invalid - ignoring"
    )),
    row!("delay_loop", |pass, line| time(
        pass,
        line,
        1,
        MAX_64,
        "real server delay_loop '{}' invalid - ignoring"
    )),
    row!("inhibit_on_failure", |pass, line| switch(
        pass,
        line,
        "Invalid inhibit_on_failure parameter {}"
    )),
    check!("HTTP_GET", HttpCheck, checks::http_end),
    check!("SSL_GET", HttpCheck, checks::http_end),
    check!("TCP_CHECK", TcpCheck, super::super::no_close),
    check!("PING_CHECK", TcpCheck, super::super::no_close),
    check!("SMTP_CHECK", SmtpCheck, super::super::no_close),
    check!("DNS_CHECK", DnsCheck, super::super::no_close),
    check!("MISC_CHECK", MiscCheck, checks::misc_end),
    check!("UDP_CHECK", UdpCheck, super::super::no_close),
    check!("BFD_CHECK", BfdCheck, super::super::no_close),
    check!("FILE_CHECK", FileCheck, super::super::no_close),
];

/// Takes the first line of a real server.
pub(super) fn open(pass: &mut Pass<'_>, line: &Line) -> Handled {
    let text = pass.text(line, 1)?;
    let second = line.words.get(2).map(|word| word.text().into_owned());
    let second = second.as_deref();
    let read = port(pass, second.filter(|port| *port != "0"), 1);
    let found = address(&text);
    let Some((address, port)) = found.zip(read) else {
        let port = second.unwrap_or("(null)");
        pass.complain(format!(
            "Invalid real server ip address/port {text}/{port} - skipping"
        ));
        pass.skip_block();
        return Ok(());
    };
    if let Some(server) = current(pass) {
        server.reals.push(Real {
            address,
            port,
            weight: server.weight,
            method: None,
            urls: 0,
            path: false,
            script: None,
            user_unknown: false,
        });
    }
    Ok(())
}
