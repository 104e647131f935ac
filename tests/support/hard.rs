//! Events that are difficult for receivers, and the expected value of each field.

/// One event, and what a receiver must get.
pub(crate) struct Hard {
    pub(crate) xml: String,
    /// Its event ID and record ID, which are unique.
    pub(crate) number: usize,
    pub(crate) provider: String,
    pub(crate) process_id: &'static str,
    /// Facts of `event@`.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Values by SD-NAME; values that structured data cannot contain completely are only in
    /// the message.
    pub(crate) data: Vec<(String, String)>,
    /// Texts that the message contains in addition.
    pub(crate) in_message: Vec<String>,
}

/// The time of all events, and its form at a receiver.
pub(crate) const TIME: &str = "2026-01-02T03:04:05.1234567Z";
pub(crate) const MICROSECONDS: &str = "2026-01-02T03:04:05.123456";

/// Facts of `event@` that all events have.
pub(crate) const FACTS: [(&str, &str); 7] = [
    ("Channel", "Application"),
    ("Level", "4"),
    ("Version", "0"),
    ("Task", "0"),
    ("Opcode", "0"),
    ("Keywords", "0x8000000000000000"),
    ("ThreadID", "1096"),
];

impl Hard {
    /// All facts of `event@`.
    pub(crate) fn all_facts(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = [
            ("Provider", &*self.provider),
            ("ProcessID", self.process_id),
        ];
        let special = self.facts.iter().map(|(name, value)| (*name, &**value));
        FACTS.into_iter().chain(own).chain(special)
    }

    fn new(number: usize, body: &str, data: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut event = Self {
            xml: String::new(),
            number,
            provider: "Contoso-Test".to_owned(),
            process_id: "644",
            facts: Vec::new(),
            data: data.iter().map(owned).collect(),
            in_message: Vec::new(),
        };
        event.write(TIME, body);
        event
    }

    fn write(&mut self, time: &str, body: &str) {
        let (number, provider, process) = (self.number, &self.provider, self.process_id);
        self.xml = format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
             <Provider Name='{provider}'/><EventID>{number}</EventID><Version>0</Version>\
             <Level>4</Level><Task>0</Task><Opcode>0</Opcode>\
             <Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime='{time}'/>\
             <EventRecordID>{number}</EventRecordID><Correlation/>\
             <Execution ProcessID='{process}' ThreadID='1096'/><Channel>Application</Channel>\
             <Computer>ws-07.example.test</Computer><Security/></System>{body}</Event>"
        );
    }

    fn of(mut self, provider: &str, body: &str) -> Self {
        provider.clone_into(&mut self.provider);
        self.write(TIME, body);
        self
    }

    fn fact(mut self, name: &'static str, value: &str) -> Self {
        self.facts.push((name, value.to_owned()));
        self
    }

    fn says(mut self, text: &str) -> Self {
        self.in_message.push(text.to_owned());
        self
    }
}

fn value(name: &str, text: &str) -> String {
    format!("<Data Name='{name}'>{text}</Data>")
}

fn event_data(values: &[String]) -> String {
    format!("<EventData>{}</EventData>", values.concat())
}

/// One event of each kind.
pub(crate) fn hard_events() -> Vec<Hard> {
    let mut all = sizes();
    all.extend(names());
    all.extend(texts());
    all
}

fn sizes() -> Vec<Hard> {
    let long = "c".repeat(33_000);
    let wide = "字".repeat(22_000);
    let escaped = "\\]".repeat(17_000);
    let many: Vec<_> = (0..300)
        .map(|n| (format!("v{n}"), format!("x{n}y")))
        .collect();
    let mut left_out = Hard::new(104, "", &[]);
    let values: Vec<_> = many.iter().map(|(name, text)| value(name, text)).collect();
    left_out.write(TIME, &event_data(&values));
    left_out.data = many.iter().take(200).cloned().collect();
    left_out.in_message = many.into_iter().map(|(_, text)| text).collect();
    let script = |number, text: &str| {
        Hard::new(
            number,
            &event_data(&[value("ScriptBlockText", text), value("Path", "p")]),
            &[("Path", "p")],
        )
        .fact("Truncated", "ScriptBlockText")
        .says(text)
    };
    let rendered = "<RenderingInfo Culture='en-US'><Message>A script.</Message></RenderingInfo>";
    let body = [&event_data(&[value("ScriptBlockText", &long)]), rendered].concat();
    vec![
        script(101, &long),
        script(102, &wide),
        script(103, &escaped),
        left_out,
        Hard::new(105, &body, &[])
            .fact("Truncated", "ScriptBlockText")
            .says(&format!("A script. ScriptBlockText={long}")),
    ]
}

fn names() -> Vec<Hard> {
    let latency = ["1", "2", "3"].map(|text| value("Latency", text));
    let long = [
        value("Security intelligence version of the engine", "e"),
        value("Security intelligence version of the signature", "s"),
    ];
    let case = [value("param", "lower"), value("PARAM", "upper")];
    let odd: String = ('!'..='~').filter(|c| !"&<'".contains(*c)).collect();
    let odd = [
        value(&odd[..24], "1"),
        value(&odd[24..48], "2"),
        value(&odd[48..72], "3"),
        value(&odd[72..], "4"),
    ];
    let chain = "<UserData><Chain><Certificate fileRef='A.cer' subjectName='Leaf'/>\
        <Element><Certificate fileRef='B.cer' subjectName='Root'/></Element>\
        <Result value='800B0109'>not trusted</Result></Chain></UserData>";
    vec![
        Hard::new(
            201,
            &event_data(&latency),
            &[("Latency", "1"), ("Latency_2", "2"), ("Latency_3", "3")],
        ),
        Hard::new(
            202,
            &event_data(&long),
            &[
                ("Security_intelligence_version_of", "e"),
                ("Security_intelligence_version__2", "s"),
            ],
        ),
        Hard::new(
            203,
            &event_data(&case),
            &[("param", "lower"), ("PARAM_2", "upper")],
        ),
        Hard::new(
            204,
            chain,
            &[
                ("Certificate_fileRef", "A.cer"),
                ("Certificate_subjectName", "Leaf"),
                ("Certificate_fileRef_2", "B.cer"),
                ("Certificate_subjectName_2", "Root"),
                ("Result_value", "800B0109"),
                ("Result", "not trusted"),
            ],
        )
        .fact("UserDataName", "Chain"),
        Hard::new(
            205,
            &event_data(&[value("a.b", "dot"), value("a_b", "line")]),
            &[("a_b", "dot"), ("a_b_2", "line")],
        ),
        Hard::new(
            206,
            &event_data(&odd),
            &[
                ("!_#$%()*+,-_/0123456789:", "1"),
                (";_>?@ABCDEFGHIJKLMNOPQRS", "2"),
                ("TUVWXYZ_\\_^_`abcdefghijk", "3"),
                ("lmnopqrstuvwxyz{|}~", "4"),
            ],
        ),
    ]
}

fn texts() -> Vec<Hard> {
    let a = event_data(&[value("a", "1")]);
    let lines = "C:\\new\\test\r\n\tand \"quotes\" [b]\n\nend \\";
    let sent = lines.replace("\r\n", "&#13;&#10;");
    let rendering = "<RenderingInfo Culture='de-DE'><Message>Text ä&#13;&#10;\n\tZeile \\n</Message>\
         <Level>Information</Level><Task>T</Task><Opcode>Info</Opcode><Channel>Sicherheit</Channel>\
         <Provider>Anzeigename des Anbieters</Provider><Keywords><Keyword>Überwachung</Keyword>\
         <Keyword>Klassisch</Keyword></Keywords></RenderingInfo>";
    let forbidden = "<EventData><Data Name='a'>x&#xD800;y\u{1}z</Data></EventData>";
    let mut timeless = Hard::new(305, "", &[("a", "1")])
        .fact("TimestampFrom", "reception")
        .fact("SystemTime", "2018-09-06 06:02:06");
    timeless.write("2018-09-06 06:02:06", &a);
    vec![
        Hard::new(301, &event_data(&[value("p", &sent)]), &[("p", lines)]).says(lines),
        Hard::new(302, &[a.as_str(), rendering].concat(), &[("a", "1")])
            .fact("Culture", "de-DE")
            .fact("ProviderName", "Anzeigename des Anbieters")
            .fact("ChannelName", "Sicherheit")
            .fact("LevelName", "Information")
            .fact("KeywordNames", "Überwachung, Klassisch")
            .says("Text ä\r\n\n\tZeile \\n"),
        Hard::new(303, "", &[("a", "1")]).of(
            "Microsoft-Windows-TerminalServices-RemoteConnectionManager",
            &a,
        ),
        Hard::new(304, "", &[("a", "1")]).of("Service Control Manager", &a),
        timeless,
        Hard::new(306, forbidden, &[("a", "x\u{fffd}y\u{fffd}z")])
            .fact("Repaired", "characters that XML forbids"),
        Hard::new(
            307,
            &event_data(&[value("b", "C:\\new\\test")]),
            &[("b", "C:\\new\\test")],
        ),
        Hard::new(
            308,
            &event_data(&[value("b", "C:\new\test")]),
            &[("b", "C:\new\test")],
        ),
    ]
}
