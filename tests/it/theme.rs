//! Themes: complete, readable, distinct; their files say what is wrong with them.

use std::{fs, path::Path};

use cas::{
    model::{
        phase::{Exit, Health, Phase},
        text::{Emphasis, TextColor, TextStyle},
        time::Timestamp,
        timeline::Severity,
    },
    tui::theme::{self, ColorDepth, Role, Theme, contrast, luminance},
};
use ratatui::style::{Color, Modifier, Style};

const TO_BE_READ: [Role; 17] = [
    Role::Text,
    Role::Muted,
    Role::Title,
    Role::Accent,
    Role::Selection,
    Role::SelectionInactive,
    Role::HeaderBar,
    Role::Key,
    Role::KeyLabel,
    Role::Good,
    Role::Warning,
    Role::Error,
    Role::Info,
    Role::Axis,
    Role::Match,
    Role::Marked,
    Role::Overlay,
];

fn built_in() -> Vec<Theme> {
    Theme::names(None).iter().map(|name| Theme::load(name, None).expect("a built-in theme loads")).collect()
}

/// Letters and ground of a role drawn on the screen's own ground.
fn colors(theme: &Theme, role: Role) -> (Color, Color) {
    let style = theme.style(Role::Text).patch(theme.style(role));
    (style.fg.unwrap_or_default(), style.bg.unwrap_or_default())
}

fn own_colors() -> Vec<Theme> {
    built_in().into_iter().filter(|theme| !matches!(theme.name(), "terminal" | "mono")).collect()
}

#[test]
fn the_themes_that_people_know_are_there() {
    let names = Theme::names(None);
    for name in [
        "catppuccin-mocha",
        "catppuccin-latte",
        "gruvbox-dark",
        "nord",
        "tokyo-night",
        "dracula",
        "terminal",
        "high-contrast",
    ] {
        assert!(names.iter().any(|own| own == name), "{name}");
    }
    for (theme, name) in built_in().iter().zip(&names) {
        assert_eq!(theme.name(), name);
    }
    assert_eq!(Theme::default().name(), theme::DEFAULT);
}

#[test]
fn text_is_readable_in_every_theme() {
    let mut problems = Vec::new();
    for theme in own_colors() {
        let least = if theme.name() == "high-contrast" { 7.0 } else { 4.5 };
        let mut check = |what: &str, fg: Color, bg: Color, least: f64| {
            let ratio = contrast(fg, bg).unwrap();
            if ratio < least {
                problems.push(format!("{}: {what} has a contrast of {ratio:.2}, less than {least}", theme.name()));
            }
        };
        for role in TO_BE_READ {
            let (fg, bg) = colors(&theme, role);
            check(role.word(), fg, bg, least);
        }
        for role in Role::ALL.into_iter().filter(|role| role.word().starts_with("graph")) {
            let (fg, bg) = colors(&theme, role);
            check(role.word(), fg, bg, 3.0);
        }
        for (role, least) in [(Role::Faint, 3.0), (Role::Border, 2.0), (Role::BorderFocused, 3.0)] {
            let (fg, bg) = colors(&theme, role);
            check(role.word(), fg, bg, least);
        }
        // Bars, boxes and the selected row have grounds of their own, and words of every meaning on them.
        let grounds =
            [(Role::HeaderBar, least), (Role::Overlay, least), (Role::Selection, 3.0), (Role::SelectionInactive, 3.0)];
        for (ground, least) in grounds {
            let place = theme.style(Role::Text).patch(theme.style(ground));
            // A selection that brings its own letters replaces those of the row.
            let overrides =
                theme.style(ground).fg.filter(|_| matches!(ground, Role::Selection | Role::SelectionInactive));
            for role in [
                Role::Text,
                Role::Muted,
                Role::Accent,
                Role::Key,
                Role::KeyLabel,
                Role::Good,
                Role::Warning,
                Role::Error,
                Role::Info,
            ] {
                let fg = overrides.or(theme.style(role).fg).unwrap_or_default();
                check(&format!("{} on {}", role.word(), ground.word()), fg, place.bg.unwrap_or_default(), least);
            }
        }
        for index in 0..8 {
            let ground = colors(&theme, Role::Text).1;
            check(&format!("service {index}"), theme.service(index).fg.unwrap(), ground, 4.5);
        }
        for index in 1..16 {
            let wanted = TextStyle { fg: Some(TextColor::Indexed(index)), ..TextStyle::default() };
            let ground = colors(&theme, Role::Text).1;
            check(&format!("ansi {index}"), theme.text_style(&wanted).fg.unwrap(), ground, 3.0);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn contrast_is_that_of_the_standard() {
    assert!((contrast(Color::Rgb(255, 255, 255), Color::Rgb(0, 0, 0)).unwrap() - 21.0).abs() < 1e-9);
    // #767676 is the well-known lightest grey that passes on white.
    assert!((contrast(Color::Rgb(0x76, 0x76, 0x76), Color::Rgb(255, 255, 255)).unwrap() - 4.54).abs() < 0.01);
    assert_eq!(contrast(Color::Reset, Color::Black), None);
    assert!(luminance(Color::Indexed(231)).unwrap() > 0.99);
}

#[test]
fn no_two_themes_look_the_same() {
    let themes = built_in();
    for (index, one) in themes.iter().enumerate() {
        for other in &themes[index + 1..] {
            assert!(
                Role::ALL.iter().any(|role| one.style(*role) != other.style(*role)),
                "{} {}",
                one.name(),
                other.name()
            );
        }
        let meanings = [Role::Good, Role::Warning, Role::Error].map(|role| one.style(role));
        assert!(meanings[0] != meanings[1] && (meanings[1] != meanings[2] || one.name() == "mono"), "{}", one.name());
        if one.name() != "mono" {
            let mut services: Vec<Option<Color>> = (0..8).map(|index| one.service(index).fg).collect();
            services.dedup();
            services.sort_by_key(|color| format!("{color:?}"));
            services.dedup();
            assert_eq!(services.len(), 8, "{}", one.name());
            assert_eq!(one.service(3), one.service(3 + 8));
        }
    }
}

#[test]
fn meanings_have_the_looks_of_their_roles() {
    let theme = Theme::default();
    let since = Timestamp::default();
    let good = theme.style(Role::Good);
    assert_eq!(theme.phase(&Phase::Running { run: cas::model::ids::RunId(1), pid: 2, since }), good);
    assert_eq!(theme.phase(&Phase::Exited { since, exit: Exit::Code(0) }), theme.style(Role::Muted));
    assert_eq!(theme.phase(&Phase::Exited { since, exit: Exit::Code(1) }), theme.style(Role::Error));
    assert_eq!(theme.phase(&Phase::GaveUp { since, attempts: 5, exit: Exit::Unknown }), theme.style(Role::Error));
    assert_eq!(theme.health(&Health::Healthy { since }), good);
    assert_eq!(theme.severity(Severity::Warning), theme.style(Role::Warning));
}

#[test]
fn no_color_means_no_color() {
    let theme = Theme::default().for_depth(ColorDepth::NoColor);
    let colored = |style: Style| style.fg.is_some() || style.bg.is_some() || style.underline_color.is_some();
    assert!(Role::ALL.iter().all(|role| !colored(theme.style(*role))));
    assert!(!colored(theme.service(3)));
    let wanted =
        TextStyle { fg: Some(TextColor::Rgb(1, 2, 3)), bg: Some(TextColor::Indexed(4)), emphasis: Emphasis::BOLD };
    assert_eq!(theme.text_style(&wanted), Style::new().add_modifier(Modifier::BOLD));
    // What must be told apart still is.
    assert_ne!(theme.style(Role::Selection), theme.style(Role::Text));
    assert_ne!(theme.style(Role::BorderFocused), theme.style(Role::Border));
    assert_ne!(theme.style(Role::Match), theme.style(Role::Text));
}

#[test]
fn a_terminal_with_fewer_colours_gets_only_those_it_has() {
    for theme in built_in() {
        for (depth, fits) in [
            (ColorDepth::Indexed256, (|color| !matches!(color, Color::Rgb(..))) as fn(Color) -> bool),
            (ColorDepth::Ansi16, |color| !matches!(color, Color::Rgb(..) | Color::Indexed(_))),
        ] {
            let fitted = theme.clone().for_depth(depth);
            for role in Role::ALL {
                let style = fitted.style(role);
                assert!(style.fg.is_none_or(fits) && style.bg.is_none_or(fits), "{} {role:?} {style:?}", theme.name());
                let (fg, bg) = colors(&fitted, role);
                assert!(fg != bg || fg == Color::Reset, "{} {role:?} vanishes in {depth:?}: {fg:?}", theme.name());
            }
            let orange = TextStyle { fg: Some(TextColor::Rgb(255, 140, 0)), ..TextStyle::default() };
            assert!(fits(fitted.text_style(&orange).fg.unwrap()));
        }
    }
}

#[test]
fn the_nearest_colour_keeps_its_hue() {
    for (color, near) in [
        (Color::Rgb(243, 139, 168), Color::LightRed),
        (Color::Rgb(166, 227, 161), Color::LightGreen),
        (Color::Rgb(137, 180, 250), Color::LightBlue),
        (Color::Rgb(30, 30, 46), Color::Black),
        (Color::Rgb(205, 0, 0), Color::Red),
        (Color::Rgb(250, 250, 250), Color::White),
        (Color::Indexed(208), Color::LightYellow),
        (Color::Yellow, Color::Yellow),
        (Color::Reset, Color::Reset),
    ] {
        assert_eq!(theme::nearest_16(color), near, "{color:?}");
    }
    assert_eq!(theme::nearest_256(Color::Rgb(255, 135, 0)), Color::Indexed(208));
    assert_eq!(theme::nearest_256(Color::Rgb(8, 8, 8)), Color::Indexed(232));
}

#[test]
fn the_environment_tells_the_depth() {
    for (variables, depth) in [
        (vec![("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], ColorDepth::TrueColor),
        (vec![("TERM", "xterm-256color")], ColorDepth::Indexed256),
        (vec![("TERM", "xterm-kitty")], ColorDepth::TrueColor),
        (vec![("TERM", "linux")], ColorDepth::Ansi16),
        (vec![("TERM", "screen")], ColorDepth::Ansi16),
        (vec![("TERM", "dumb")], ColorDepth::NoColor),
        (vec![("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], ColorDepth::NoColor),
        (vec![("TERM", "xterm-256color"), ("NO_COLOR", "")], ColorDepth::Indexed256),
    ] {
        let of = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(ColorDepth::of_environment(of), depth, "{variables:?}");
    }
}

#[test]
fn what_a_service_paints_uses_the_themes_sixteen() {
    let theme = Theme::default();
    let red = TextStyle { fg: Some(TextColor::Indexed(1)), ..TextStyle::default() };
    assert_eq!(theme.text_style(&red).fg, Some(Color::Rgb(0xf3, 0x8b, 0xa8)));
    let terminal = Theme::load("terminal", None).unwrap();
    assert_eq!(terminal.text_style(&red).fg, Some(Color::Indexed(1)));
}

#[test]
fn what_a_service_paints_can_be_read() {
    for theme in own_colors() {
        for (fg, bg) in [
            (Some(15), Some(1)),
            (Some(0), Some(0)),
            (Some(7), Some(3)),
            (None, Some(2)),
            (Some(0), None),
            (Some(15), None),
        ] {
            let index = |color: u8| TextColor::Indexed(color);
            let wanted = TextStyle { fg: fg.map(index), bg: bg.map(index), ..TextStyle::default() };
            let style = theme.style(Role::Text).patch(theme.text_style(&wanted));
            let ratio = contrast(style.fg.unwrap(), style.bg.unwrap()).unwrap();
            assert!(ratio >= 1.9, "{}: {fg:?} on {bg:?} has a contrast of {ratio:.2}", theme.name());
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(format!("{name}.toml")), text).expect("a theme can be written");
}

#[test]
fn a_theme_of_ones_own_changes_what_it_wants_and_inherits_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "mine",
        "inherits = \"nord\"\n[palette]\nred = \"#ff0000\"\n[roles]\ntitle = { fg = \"red\", bold = false, italic = true }\n",
    );
    let theme = Theme::load("mine", Some(dir.path())).unwrap();
    let nord = Theme::load("nord", None).unwrap();
    assert_eq!(theme.name(), "mine");
    assert_eq!(theme.style(Role::Title), Style::new().fg(Color::Rgb(255, 0, 0)).add_modifier(Modifier::ITALIC));
    // The role says "red", the palette says which red.
    assert_eq!(theme.style(Role::Error).fg, Some(Color::Rgb(255, 0, 0)));
    assert_eq!(theme.style(Role::Good), nord.style(Role::Good));
    assert_eq!(Theme::names(Some(dir.path())).last().unwrap(), "mine");
}

#[test]
fn a_theme_may_build_on_the_one_whose_name_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "nord", "inherits = \"nord\"\n[palette]\ngreen = \"#00ff00\"\n");
    let theme = Theme::load("nord", Some(dir.path())).unwrap();
    assert_eq!(theme.style(Role::Good).fg, Some(Color::Rgb(0, 255, 0)));
}

#[track_caller]
fn assert_refused(files: &[(&str, &str)], expected: &[&str]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        write(dir.path(), name, text);
    }
    let error = Theme::load(files[0].0, Some(dir.path())).expect_err("it is refused");
    for part in expected {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
}

#[test]
fn everything_wrong_with_a_file_is_said_at_once_with_its_line() {
    assert_refused(
        &[(
            "bad",
            "inherits = \"nord\"\nroels = 1\n[palette]\nred = \"#ff00zz\"\n[roles]\ntilte = \"red\"\ngood = \"gren\"\ninfo = { fgg = \"blue\", bold = 3 }\nerror = 7\n[ansi]\ncolors = [\"red\"]\n",
        )],
        &[
            "bad.toml:2: \"roels\" is not a part of a theme; did you mean \"roles\"?",
            "bad.toml:4: \"#ff00zz\" is not a colour",
            "bad.toml:6: \"tilte\" is not a role; did you mean \"title\"?",
            "bad.toml:7: \"gren\" is neither in [palette] nor a colour; did you mean \"green\"?",
            "bad.toml:8: \"fgg\" is not a part of a style; did you mean \"fg\"?",
            "bad.toml:8: true or false is expected here",
            "bad.toml:9: a table is expected here; this is of type integer",
            "bad.toml:11: sixteen colours are expected here, not 1",
        ],
    );
    assert_refused(&[("bad", "inherits = \"nord\"\n[palette\n")], &["bad.toml:2: "]);
    assert_refused(
        &[("bad", "[roles]\ntext = \"white\"\n")],
        &["theme \"bad\" says nothing about muted, faint,", "inherits"],
    );
    assert_refused(
        &[("bad", "inherits = \"gruvbocks-dark\"\n")],
        &["bad.toml:1: there is no theme \"gruvbocks-dark\"; did you mean \"gruvbox-dark\"?"],
    );
    let error = Theme::load("../etc/passwd", None).unwrap_err();
    assert!(error.contains("is not the name of a theme"), "{error}");
}

#[test]
fn a_circle_of_inheritance_is_an_error_that_shows_it() {
    assert_refused(&[("a", "inherits = \"b\""), ("b", "inherits = \"a\"")], &["in a circle", "a.toml → ", "b.toml → "]);
    assert_refused(&[("a", "inherits = \"a\"")], &["in a circle"]);
}
