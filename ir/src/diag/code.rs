//! The table of diagnostic codes.
//!
//! Invariant: a code is never reused or renumbered; each has a row here and a test that shows it. The hundreds tell the
//! level: 01 syntax, 02 names, axes and types, 03 sizes, 04 schedules, 05 plan and tile texts, 06 calls and run time,
//! 07 the runner, 08 store and tuning, 09 gradients, 10 export.

/// Every code with its meaning in one line, in order.
pub const ALL: &[(&str, &str)] = &[
    ("TW0101", "a character or symbol that no kernel text has"),
    ("TW0102", "something else must stand here"),
    ("TW0103", "a malformed number"),
    ("TW0104", "an expression nests too deep or is too long"),
    ("TW0105", "a bracket or body is not closed"),
    ("TW0106", "a body without a result, or a value that is not used"),
    ("TW0107", "a file that is no text, or too long"),
    ("TW0108", "more faults than are shown"),
    ("TW0109", "comparisons in a chain"),
    ("TW0110", "a file without a kernel (a warning)"),
    ("TW0201", "an unknown name"),
    ("TW0202", "a name that is already taken"),
    ("TW0203", "a call with a wrong number of arguments or axes"),
    ("TW0204", "an unknown element type"),
    ("TW0205", "an operation that does not take these types"),
    ("TW0206", "a number that its type does not hold"),
    ("TW0207", "a reduction over an axis that the value does not have"),
    ("TW0208", "an axis of the result that the output does not have"),
    ("TW0209", "a function that calls itself"),
    ("TW0210", "a name used as what it is not"),
    ("TW0211", "a wrong number of results"),
    ("TW0212", "a tensor with the same axis twice"),
    ("TW0213", "more axes than a kernel may have"),
    ("TW0214", "a kernel that is too large once its functions are inlined"),
    ("TW0215", "an attribute that is unknown, faulty or at odds with another"),
    ("TW0216", "a constant that is not computed from numbers and constants"),
    ("TW0217", "a split of an axis that is not of the form `outer*128 + inner`"),
    ("TW0218", "an axis that is split twice, or is a part of itself"),
    ("TW0219", "strides that do not fit their tensor"),
    ("TW0221", "a value with too few or too many subscripts"),
    ("TW0222", "a constant whose value is infinite or no number"),
    ("TW0231", "a parameter that nothing uses (a warning)"),
    ("TW0232", "a value that nothing uses (a warning)"),
    ("TW0233", "a function or constant that nothing uses (a warning)"),
    ("TW0234", "an axis of an output along which the result does not vary (a warning)"),
    ("TW0235", "a limit that every extent is within (a warning)"),
    ("TW0301", "the extent of an axis is missing"),
    ("TW0302", "an extent for an axis that the kernel does not have"),
    ("TW0303", "a tensor that is too large"),
    ("TW0304", "an axis that is too long"),
    ("TW0305", "an extent outside of what the kernel allows"),
    ("TW0306", "a size set without its kernel"),
    ("TW0307", "a size set or extent that is given twice"),
    ("TW0308", "an extent that does not fit the parts of its axis"),
    ("TW0309", "strides that reach too far"),
    ("TW0401", "a schedule for another kernel"),
    ("TW0402", "a choice that the kernel does not have"),
    ("TW0403", "a choice that is set twice"),
    ("TW0404", "a value that the choice does not take"),
    ("TW0405", "a value that is illegal next to the other choices"),
    ("TW0406", "a schedule that needs too much memory"),
    ("TW0407", "a form that the kernel does not have"),
    ("TW0501", "a character or token that no schedule, plan or tile text has"),
    ("TW0502", "something else must stand here in a schedule, plan or tile text"),
    ("TW0503", "a name that the plan or tile text does not declare"),
    ("TW0504", "a plan or tile text that nests too deep"),
    ("TW0505", "a number that its type does not hold"),
    ("TW0506", "a name that is declared twice"),
    ("TW0507", "a plan or tile text that is too long, or has too many axes"),
    ("TW0520", "a tile program with unsound identifiers, names or declarations"),
    ("TW0521", "operands of types that do not fit"),
    ("TW0522", "a value that varies over an axis its place lacks"),
    ("TW0523", "a loop over no axis, over one twice, or by steps of 0"),
    ("TW0524", "a buffer of a block that no loop has"),
    ("TW0525", "a result that is stored never or more than once"),
    ("TW0526", "memory that is read before it is written"),
    ("TW0527", "a local that has no value here, or another one"),
    ("TW0528", "a reduction over no axis, or within another of the same axis"),
    ("TW0529", "a chain of additions that is too long for the error bound"),
    ("TW0530", "inner loops that do not fit the value"),
    ("TW0531", "more memory than there is"),
    ("TW0532", "a carry that does not fit its loop or its place"),
    ("TW0601", "a call with a wrong number of arrays"),
    ("TW0602", "an array of another element type"),
    ("TW0603", "an array of another shape"),
    ("TW0604", "arrays that disagree about an axis"),
    ("TW0605", "an array with other strides"),
    ("TW0606", "a tile program with another signature"),
    ("TW0701", "the file that TILEWRIGHT_RUNNER names cannot be run"),
    ("TW0702", "the embedded runner cannot be run on this system"),
    ("TW0703", "the runner stopped before it was ready"),
    ("TW0801", "the store cannot be opened or written"),
    ("TW0802", "the store is damaged, or the file is no store"),
    ("TW0803", "the store was written by a newer version"),
    ("TW0804", "the store is held by another process"),
    ("TW0805", "a read or write of the store failed"),
    ("TW0806", "a kernel without a stored winner"),
    ("TW0812", "the threads that compile could not be started"),
    ("TW0901", "an operation that has no gradient"),
    ("TW0902", "a gradient of what is no float input"),
    ("TW0903", "a kernel without anything to differentiate"),
    ("TW0904", "a kernel to differentiate that the file does not have"),
    ("TW1001", "a name that a file or C cannot have"),
    ("TW1002", "two functions of one library with the same symbol"),
];

/// The meaning of a code.
pub fn meaning(code: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_are_in_order_and_unique() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
