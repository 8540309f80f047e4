use clap::{Args as _, Command};

use super::*;

fn parse_settings(text: &str) -> Result<Settings, (usize, String)> {
    parse_toml(text)
}

fn flags(arguments: &[&str]) -> Settings {
    let command = Settings::augment_args(Command::new("serve").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments).unwrap();
    <Settings as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
}

#[test]
fn every_setting_is_a_flag_a_variable_and_a_key() {
    let command = Settings::augment_args(Command::new("serve"));
    for arg in command.get_arguments() {
        let flag = arg.get_long().unwrap();
        let variable = format!("GOLDENPATH_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(arg.get_env().unwrap().to_str(), Some(variable.as_str()));
        let unknown = |text: &str| {
            parse_settings(text)
                .err()
                .is_some_and(|(_, message)| message.contains("unknown field"))
        };
        assert!(!unknown(&format!("{flag} = {{}}")), "{flag} is no key");
        assert!(unknown(&format!("{flag}-x = 1")));
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let file =
        parse_settings("listen = \"127.0.0.1:1\"\nworkers = 3\nbody-limit = \"1MiB\"").unwrap();
    let config =
        Config::resolve(flags(&["--listen", "127.0.0.1:2", "--log", "debug"]).over(file)).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!((config.workers, config.body_limit), (3, 1 << 20));
    assert_eq!(
        (config.log.as_str(), config.plugin_limit),
        ("debug", 32 << 20)
    );
    assert_eq!(config.data, PathBuf::from("goldenpath-data"));
}

#[test]
fn both_halves_of_the_bootstrap_credential_come_from_one_source() {
    let file = parse_settings("client-id = \"old\"\nclient-secret = \"old-secret\"").unwrap();
    let refused = Config::resolve(flags(&["--client-id", "new"]).over(file)).unwrap_err();
    assert!(refused.to_string().contains("needs both"));
}

#[test]
fn an_unknown_key_is_refused_with_its_name_and_line() {
    let (line, message) = parse_settings("workers = 3\n\nworker = 4\n").unwrap_err();
    assert_eq!(line, 3);
    assert!(message.contains("`worker`"), "{message}");
}

#[test]
fn a_portal_that_could_carry_out_no_run_does_not_start() {
    for flag in ["--workers", "--plugin-runs", "--queue-limit"] {
        let refused = Config::resolve(flags(&[flag, "0"])).unwrap_err();
        assert!(refused.to_string().contains(flag), "{refused}");
    }
}

#[test]
fn a_public_address_needs_tls_or_a_proxy() {
    let listen = ["--listen", "0.0.0.0:4000"];
    let refused = Config::resolve(flags(&listen)).unwrap_err().to_string();
    assert!(refused.contains("--behind-proxy"), "{refused}");
    assert!(Config::resolve(flags(&["--listen", "0.0.0.0:4000", "--behind-proxy"])).is_ok());
    let tls = [
        "--listen",
        "0.0.0.0:4000",
        "--tls-cert",
        "c.pem",
        "--tls-key",
        "k.pem",
    ];
    assert!(Config::resolve(flags(&tls)).is_ok());
    assert!(Config::resolve(flags(&["--tls-cert", "c.pem"])).is_err());
    assert!(Config::resolve(flags(&["--listen", "[::1]:4000"])).is_ok());
}

#[test]
fn sizes_and_urls_are_parsed_strictly() {
    assert_eq!(
        "512KiB".parse::<ByteSize>().map(ByteSize::bytes),
        Ok(512 << 10)
    );
    for bad in ["", "MiB", "0", "-1", "99999999999999GiB", "8 mib"] {
        assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
    }
    assert_eq!(
        "https://Portal.example.com/"
            .parse::<PublicUrl>()
            .unwrap()
            .authority(),
        "portal.example.com"
    );
    for bad in [
        "portal.example.com",
        "https://",
        "https://a/b",
        "https://u@a",
        "ftp://a",
    ] {
        assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
    }
}

#[test]
fn a_secret_is_not_shown_by_debug() {
    let settings = flags(&["--client-secret", "hunter2"]);
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn metrics_are_not_shown_to_others_by_a_short_token_or_an_open_listener() {
    let refused = |arguments: &[&str]| Config::resolve(flags(arguments)).unwrap_err().to_string();
    assert!(refused(&["--metrics-token", "short"]).contains("16 characters"));
    assert!(refused(&["--metrics-listen", "0.0.0.0:9100"]).contains("loopback"));
    let config = Config::resolve(flags(&["--metrics-listen", "127.0.0.1:9100"])).unwrap();
    assert!(config.metrics_listen.is_some() && config.metrics_token.is_none());
    let token = "0123456789abcdef";
    let config = Config::resolve(flags(&["--metrics-token", token])).unwrap();
    assert!(!format!("{config:?}").contains(token));
}
