//! Pictures of kernels: the same bytes every time, well-formed XML whatever the names, everything of the form on them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod xml;

use tilewright::draw::{self, Format, Plot, Series, flow};
use tilewright::ir::rewrite;
use tilewright::ir::schedule::{FormSpace, Forms};
use tilewright::ir::target::{MemoryLevel, Target};
use tilewright::{BoundKernel, Kernel};
use xml::{Element, parse};

fn bound(text: &str) -> BoundKernel {
    let kernel = Kernel::parse(text).unwrap();
    let sizes = kernel.size_sets()[0].1.clone();
    kernel.bind_sizes(&sizes).unwrap()
}

fn catalogue(name: &str) -> BoundKernel {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kernels/{name}.tw"));
    bound(&std::fs::read_to_string(path).unwrap())
}

fn form(bound: &BoundKernel, form: &FormSpace, format: Format) -> String {
    draw::form(bound.graph(), bound.backend().target(), form, format)
}

/// The texts on a picture.
fn texts(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter(|element| element.name == "text").map(|element| &*element.text).collect()
}

#[test]
fn equal_forms_have_equal_pictures() {
    for name in ["attention", "layernorm", "moe_grouped_matmul", "group_norm"] {
        let (one, other) = (catalogue(name), catalogue(name));
        for (a, b) in one.forms().list().iter().zip(other.forms().list()) {
            for format in [Format::Svg, Format::Dot] {
                assert_eq!(form(&one, a, format), form(&other, b, format), "{name}");
                assert_eq!(draw::passes(a, format), draw::passes(b, format), "{name}");
            }
        }
    }
}

#[test]
fn everything_of_a_form_is_on_its_picture() {
    for kernel in tilewright::kernels::all() {
        let bound = bound(kernel.source);
        for space in bound.forms().list() {
            let svg = form(&bound, space, Format::Svg);
            let elements = parse(&svg).unwrap_or_else(|fault| panic!("{}: {fault}", kernel.name));
            let shown = texts(&elements);
            let flow = flow(space);
            for card in &flow.cards {
                assert!(shown.contains(&&*card.head), "{}: {}", kernel.name, card.head);
                for text in card
                    .lines
                    .iter()
                    .map(|line| &line.text)
                    .chain(&card.inputs)
                    .chain(&card.outputs)
                {
                    assert!(shown.contains(&&**text), "{}: {text}", kernel.name);
                }
            }
            for frame in &flow.frames {
                assert!(shown.contains(&&*frame.title), "{}: {}", kernel.name, frame.title);
            }
            // Each class that the form uses has one marked node.
            let graph = rewrite::picture(bound.graph(), bound.backend().target(), &space.graph);
            let chosen = |class: &&rewrite::ClassPicture| {
                let count = class.nodes.iter().filter(|node| node.is_chosen).count();
                assert!(count <= 1, "{}: {class:?}", kernel.name);
                count == 1
            };
            let used = graph.classes.iter().filter(chosen).count();
            let marked = elements.iter().filter(|element| element.class() == "chosen").count();
            // One more is the legend.
            assert_eq!(marked, used + 1, "{} {}", kernel.name, space.name());
            assert!(graph.classes.iter().any(|class| !class.outputs.is_empty()));
            let dot = form(&bound, space, Format::Dot);
            assert_eq!(dot.matches("fillcolor=\"#ffd994\"").count(), used, "{}", kernel.name);
        }
    }
}

/// What one sees at a glance: three frames over the keys become one that carries three states.
#[test]
fn fused_attention_is_one_frame() {
    let attention = catalogue("attention");
    let over_keys = |space: &FormSpace| {
        let frames = flow(space).frames;
        let titles = frames.into_iter().map(|frame| (frame.title, frame.is_group));
        titles.filter(|(title, _)| title.contains("over j")).collect::<Vec<_>>()
    };
    let written = over_keys(attention.forms().named("written").unwrap());
    let titles: Vec<_> = written.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["pass 1 of 3 over j", "pass 2 of 3 over j", "pass 3 of 3 over j"]);
    let best = over_keys(attention.forms().preferred());
    assert_eq!(best.len(), 1, "{best:?}");
    let (title, is_group) = &best[0];
    assert!(
        title.starts_with("one pass over j, block by block; carried: ") && *is_group,
        "{title}"
    );
    assert_eq!(title.matches("[b,h,i").count(), 3, "{title}");
    let carried = |space: &FormSpace| -> usize {
        let svg = draw::passes(space, Format::Svg);
        parse(&svg).unwrap().iter().filter(|element| element.class() == "carried").count()
    };
    assert_eq!(carried(attention.forms().preferred()), 3);
    assert_eq!(carried(attention.forms().named("written").unwrap()), 0);
}

#[test]
fn texts_and_boxes_do_not_overlap() {
    for name in ["attention", "swiglu_mlp", "layernorm", "softmax", "paged_kv_attention"] {
        let bound = catalogue(name);
        for space in bound.forms().list() {
            let elements = parse(&form(&bound, space, Format::Svg)).unwrap();
            let places: Vec<_> = elements.iter().filter_map(Element::text_place).collect();
            for (index, one) in places.iter().enumerate() {
                for other in &places[index + 1..] {
                    assert!(!one.overlaps(other), "{name} {}: {one:?} {other:?}", space.name());
                }
            }
            let page = elements[0].page();
            assert!(places.iter().all(|place| place.within(page)), "{name}: off the page");
            let of = |class: &str| -> Vec<_> {
                elements
                    .iter()
                    .filter(|item| item.class() == class)
                    .map(Element::box_place)
                    .collect()
            };
            for class in ["class", "card", "chosen", "other"] {
                let boxes = of(class);
                for (index, one) in boxes.iter().enumerate() {
                    let clash = boxes[index + 1..].iter().find(|other| one.overlaps(other));
                    assert_eq!(clash, None, "{name} {}: two of class {class}", space.name());
                }
            }
        }
    }
}

/// Names that the kernel language does not allow, as a program may put them into a graph.
#[test]
fn hostile_names_are_escaped() {
    let mut space = catalogue("attention").forms().preferred().clone();
    let names = [
        "</text><script>alert(1)</script>",
        "a\"b\\c'",
        "&amp;&#0;",
        "x\u{0}\u{1b}\n\r\u{fffe}",
        "日本語 ]]>",
    ];
    let count = space.plan.values.len();
    for (value, name) in space.plan.values.iter_mut().zip(names.iter().cycle()) {
        value.name = (*name).to_string();
    }
    assert!(count > names.len());
    for (pass, name) in space.plan.passes.iter_mut().zip(names.iter().cycle()) {
        pass.name = (*name).to_string();
    }
    space.plan.name = names.concat();
    let svg = draw::passes(&space, Format::Svg);
    let elements = parse(&svg).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(!elements.iter().any(|element| element.name == "script"));
    assert!(texts(&elements).iter().any(|text| text.starts_with(names[0])));
    let dot = draw::passes(&space, Format::Dot);
    // Outside of strings there is nothing of the names.
    let (mut outside, mut in_string, mut escaped) = (String::new(), false, false);
    for char in dot.chars() {
        match (in_string, escaped, char) {
            (true, false, '\\') => escaped = true,
            (_, false, '"') => in_string = !in_string,
            (true, ..) => escaped = false,
            (false, _, char) => outside.push(char),
        }
    }
    assert!(!in_string && !outside.contains("script") && !outside.contains('&'), "{outside}");
}

/// A hundred operators are drawn in a moment, on a page that can be looked at.
#[test]
fn large_kernels_are_drawn() {
    let mut text = String::from("kernel deep(x: f32[i,j], w: f32[j]) -> f32[i,j] {\n  p0 = x\n");
    for layer in 0..25 {
        let next = layer + 1;
        text.push_str(&format!("  p{next} = p{layer} + softmax[j](p{layer} * w) * 0.5\n"));
    }
    text.push_str("  p25\n}\nsizes small { i=64, j=256 }\n");
    let bound = bound(&text);
    assert!(bound.graph().nodes.len() > 100);
    let space = bound.forms().preferred();
    let svg = form(&bound, space, Format::Svg);
    let elements = parse(&svg).unwrap();
    let page = elements[0].page();
    assert!(page.0 < 4000 && page.1 < 40_000, "{page:?}");
    assert!(svg.len() < 2_000_000, "{}", svg.len());
    assert!(texts(&elements).iter().any(|text| text.contains("are not shown")));
}

/// The pictures of the documents, for a machine that is nobody's. `BLESS=1` draws them again.
#[test]
fn the_documents_show_what_is_drawn() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    let target = Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: vec![
            level("L1", 1 << 15),
            level("L2", 1 << 20),
            level("L3", 1 << 24),
            level("memory", 0),
        ],
    };
    let attention = catalogue("attention");
    let forms = Forms::new(attention.graph(), &target);
    let (written, best) = (forms.named("written").unwrap(), forms.preferred());
    let pictures = [
        ("attention_written.svg", draw::passes(written, Format::Svg)),
        ("attention_found.svg", draw::passes(best, Format::Svg)),
        ("attention_egraph.svg", draw::form(attention.graph(), &target, best, Format::Svg)),
    ];
    for (name, picture) in pictures {
        let path = folder.join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &picture).unwrap();
        }
        let shown = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(shown == picture, "{name} is out of date: run the tests with BLESS=1");
    }
}

#[test]
fn formats_are_known_by_their_endings() {
    let format = |path: &str| Format::of(std::path::Path::new(path));
    assert_eq!(format("a.svg"), Some(Format::Svg));
    assert_eq!(format("a.b/c.dot"), Some(Format::Dot));
    assert_eq!((format("a.png"), format("svg"), format("a.SVG")), (None, None, None));
}

#[test]
fn plots_are_well_formed() {
    let line = |name: &str, factor: f64| Series {
        name: name.to_string(),
        points: (1..8).map(|x| (f64::from(x) * 9.0, f64::from(x) * factor)).collect(),
    };
    let (title, subtitle) = ("Growth <&>".to_string(), "one machine".to_string());
    let series = vec![line("nodes", 30.0), line("time (ms)", 0.07)];
    let plot = Plot { title, subtitle, across: "operators".to_string(), series };
    let svg = plot.svg();
    assert_eq!(svg, plot.svg());
    let elements = parse(&svg).unwrap();
    assert_eq!(elements.iter().filter(|element| element.name == "circle").count(), 7 * 2 + 2);
    let places: Vec<_> = elements.iter().filter_map(Element::text_place).collect();
    for (index, one) in places.iter().enumerate() {
        assert!(places[index + 1..].iter().all(|other| !one.overlaps(other)), "{one:?}");
    }
    assert!(places.iter().all(|place| place.within(elements[0].page())));
}
