//! A strict reader of the XML that the pictures are: elements, attributes in double quotes, the five entities.
//!
//! Invariant: what is not well formed is refused: an open or wrongly closed element, a bare `<` or `&`, a character that
//! XML does not have, an attribute given twice.

/// An element with its own text.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) text: String,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Place {
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    pub(crate) fn within(&self, (width, height): (i64, i64)) -> bool {
        self.left >= 0 && self.top >= 0 && self.right <= width && self.bottom <= height
    }
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> i64 {
        self.attribute(name).parse().unwrap_or_else(|_| panic!("{name} of {self:?}"))
    }

    pub(crate) fn class(&self) -> &str {
        self.attribute("class")
    }

    /// Width and height of the whole.
    pub(crate) fn page(&self) -> (i64, i64) {
        (self.number("width"), self.number("height"))
    }

    pub(crate) fn box_place(&self) -> Place {
        let (left, top) = (self.number("x"), self.number("y"));
        Place { left, top, right: left + self.number("width"), bottom: top + self.number("height") }
    }

    /// Where a text stands, in a face whose letters are three fifths as wide as high.
    pub(crate) fn text_place(&self) -> Option<Place> {
        if self.name != "text" {
            return None;
        }
        let size = if self.class() == "title" { 18 } else { 13 };
        let cells: i64 = self.text.chars().map(|char| if char > '\u{2e7f}' { 2 } else { 1 }).sum();
        let (left, base) = (self.number("x"), self.number("y"));
        let (top, bottom) = (base - size * 3 / 4, base + size / 5);
        Some(Place { left, top, right: left + cells * size * 6 / 10, bottom })
    }
}

/// The elements in the order in which they begin.
pub(crate) fn parse(text: &str) -> Result<Vec<Element>, String> {
    if let Some(char) = text
        .chars()
        .find(|char| char.is_control() && *char != '\n' || "\u{fffe}\u{ffff}".contains(*char))
    {
        return Err(format!("XML has no character {char:?}"));
    }
    let mut elements: Vec<Element> = vec![];
    let mut open: Vec<usize> = vec![];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        add_text(&mut elements, &open, &rest[..at])?;
        let end = rest[at..].find('>').ok_or("a `<` without `>`")? + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().ok_or(format!("</{name}> closes nothing"))?;
            if elements[last].name != name {
                return Err(format!("</{name}> closes <{}>", elements[last].name));
            }
            continue;
        }
        let (tag, is_closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        if open.is_empty() && !elements.is_empty() {
            return Err("two roots".to_string());
        }
        elements.push(element(tag)?);
        if !is_closed {
            open.push(elements.len() - 1);
        }
    }
    add_text(&mut elements, &open, rest)?;
    if open.is_empty() && !elements.is_empty() { Ok(elements) } else { Err("unclosed".to_string()) }
}

fn add_text(elements: &mut [Element], open: &[usize], text: &str) -> Result<(), String> {
    match open.last() {
        Some(&last) => elements[last].text.push_str(&unescape(text)?),
        None if text.trim().is_empty() => {}
        None => return Err(format!("text outside of the root: {text}")),
    }
    Ok(())
}

fn element(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    if name.is_empty() || !name.chars().all(|char| char.is_ascii_alphanumeric()) {
        return Err(format!("<{tag}> has no name"));
    }
    let mut attributes: Vec<(String, String)> = vec![];
    while !rest.trim_start().is_empty() {
        let (key, after) = rest.trim_start().split_once("=\"").ok_or(format!("<{tag}>"))?;
        let (value, after) = after.split_once('"').ok_or(format!("<{tag}>: open quote"))?;
        let is_name = key.chars().all(|char| char.is_ascii_alphanumeric() || "-:".contains(char));
        if !is_name || attributes.iter().any(|(other, _)| other == key) {
            return Err(format!("<{tag}>: attribute {key}"));
        }
        attributes.push((key.to_string(), unescape(value)?));
        rest = after;
    }
    Ok(Element { name: name.to_string(), attributes, text: String::new() })
}

fn unescape(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (entity, rest) = part.split_once(';').ok_or(format!("a bare & before {part}"))?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => return Err(format!("an unknown entity &{other};")),
        });
        out.push_str(rest);
    }
    Ok(out)
}
