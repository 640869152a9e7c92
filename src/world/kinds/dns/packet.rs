//! Questions and answers of DNS as bytes (RFC 1035, section 4). Never: follows a pointer (names of answers are only skipped).

use crate::world::kinds::{cursor::Cursor, words};

/// A type of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Ns,
    Cname,
    Soa,
    Ptr,
    Mx,
    Txt,
    Aaaa,
    Srv,
}

impl Kind {
    pub(super) const ALL: [Self; 9] =
        [Self::A, Self::Aaaa, Self::Ns, Self::Mx, Self::Txt, Self::Soa, Self::Srv, Self::Cname, Self::Ptr];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Ns => "NS",
            Self::Cname => "CNAME",
            Self::Soa => "SOA",
            Self::Ptr => "PTR",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label().eq_ignore_ascii_case(word))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Internet,
    /// Where servers tell about themselves.
    Chaos,
}

/// What is asked.
pub(super) struct Question {
    name: String,
    kind: Kind,
    /// Name, type and class as they are sent and come back.
    bytes: Vec<u8>,
}

impl Question {
    /// A question; `.` is the root.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(super) fn new(name: &str, kind: Kind, class: Class) -> Result<Self, &'static str> {
        let mut bytes = Vec::new();
        let labels = name.strip_suffix('.').unwrap_or(name);
        for label in labels.split('.').filter(|_| !labels.is_empty()) {
            let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
            bytes.push(length.ok_or("each part has 1 to 63 bytes")?);
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        if bytes.len() > 255 {
            return Err("it is longer than 255 bytes");
        }
        bytes.extend(kind.number().to_be_bytes());
        bytes.extend(match class {
            Class::Internet => [0, 1],
            Class::Chaos => [0, 3],
        });
        Ok(Self { name: name.to_owned(), kind, bytes })
    }

    /// As people say it: `A of example.org`.
    pub(super) fn words(&self) -> String {
        format!("{} of {}", self.kind.label(), words::said(&self.name))
    }

    /// As it is sent: recursion is desired, answers up to 4096 bytes are taken (EDNS, RFC 6891).
    pub(super) fn packet(&self, number: u16) -> Vec<u8> {
        let mut packet = number.to_be_bytes().to_vec();
        packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        packet.extend(&self.bytes);
        packet.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        packet
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// RCODE, without EDNS's upper bits.
    pub(super) code: u8,
    /// Whether it did not fit.
    pub(super) is_cut: bool,
    /// How many records answer.
    pub(super) records: u16,
    /// The first text, where the first record is TXT.
    pub(super) text: Option<Vec<u8>>,
}

impl Answer {
    /// Reads an answer; none where it is none to this question.
    pub(super) fn read(bytes: &[u8], number: u16, question: &Question) -> Option<Self> {
        let mut fields = Cursor::new(bytes);
        let flags = {
            let their = fields.u16()?;
            let flags = fields.u16()?;
            (their == number && flags & 0x8000 != 0).then_some(flags)?
        };
        let (questions, records) = (fields.u16()?, fields.u16()?);
        fields.take(4)?;
        let code = (flags & 0x0F) as u8;
        // Some leave the question out where they refuse it.
        if questions == 1 {
            let echoed = fields.take(question.bytes.len())?;
            echoed.eq_ignore_ascii_case(&question.bytes).then_some(())?;
        } else if questions != 0 || code == 0 {
            return None;
        }
        let text = if question.kind == Kind::Txt && records > 0 { first_text(&mut fields) } else { None };
        Some(Self { code, is_cut: flags & 0x0200 != 0, records, text })
    }
}

/// The first text of the first record.
fn first_text(fields: &mut Cursor<'_>) -> Option<Vec<u8>> {
    loop {
        match fields.u8()? {
            0 => break,
            pointer if pointer & 0xC0 == 0xC0 => {
                fields.take(1)?;
                break;
            }
            length => fields.take(usize::from(length)).map(|_label| ())?,
        }
    }
    let kind = fields.u16()?;
    // Class and time to live.
    fields.take(6)?;
    let length = fields.u16()?;
    let mut data = Cursor::new(fields.take(usize::from(length))?);
    let length = data.u8()?;
    (kind == Kind::Txt.number()).then_some(())?;
    data.take(usize::from(length)).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Class, Kind, Question};

    #[test]
    fn names_are_checked_and_the_root_is_one() {
        assert!(Question::new("a..b", Kind::A, Class::Internet).is_err());
        assert!(Question::new(&"x".repeat(64), Kind::A, Class::Internet).is_err());
        assert!(Question::new(&"abc.".repeat(70), Kind::A, Class::Internet).is_err());
        let root = Question::new(".", Kind::Ns, Class::Internet).unwrap();
        assert_eq!(root.packet(7)[12..17], [0, 0, 2, 0, 1]);
    }

    #[test]
    fn only_an_answer_to_the_question_is_one_and_cut_bytes_are_none() {
        let question = Question::new("version.bind", Kind::Txt, Class::Chaos).unwrap();
        let mut bytes = vec![0, 9, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        bytes.extend(&question.bytes);
        bytes.extend([0xC0, 12, 0, 16, 0, 3, 0, 0, 0, 0, 0, 4, 3, b'1', b'.', b'0']);
        let answer = Answer::read(&bytes, 9, &question).unwrap();
        assert_eq!(answer, Answer { code: 0, is_cut: false, records: 1, text: Some(b"1.0".to_vec()) });
        assert_eq!(Answer::read(&bytes, 8, &question), None);
        for cut in 0..30 {
            assert_eq!(Answer::read(&bytes[..cut], 9, &question), None);
        }
        let other = Question::new("version.bond", Kind::Txt, Class::Chaos).unwrap();
        assert_eq!(Answer::read(&bytes, 9, &other), None);
    }
}
