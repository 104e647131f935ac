//! What a receiver must get for each event of `tests/data/events.xml`, written by hand,
//! and numbered events.

use super::{Record, TempDir};

/// One event of the file in its expected RFC 5424 form.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) record_id: &'static str,
    pub(crate) computer: &'static str,
    pub(crate) priority: u8,
    pub(crate) timestamp: &'static str,
    pub(crate) app_name: &'static str,
    pub(crate) process_id: &'static str,
    pub(crate) message_id: &'static str,
    pub(crate) channel: &'static str,
    /// Names as SD-NAMEs, in order.
    pub(crate) data: &'static [(&'static str, &'static str)],
}

const SECURITY: Sample = Sample {
    record_id: "",
    computer: "ws-07.example.test",
    priority: 10 * 8 + 5,
    timestamp: "",
    app_name: "Microsoft-Windows-Security-Auditing",
    process_id: "672",
    message_id: "",
    channel: "Security",
    data: &[],
};

const SYSTEM: Sample = Sample {
    priority: 8 + 6,
    channel: "System",
    ..SECURITY
};

/// The events in the order of the file.
pub(crate) fn samples() -> &'static [Sample] {
    &SAMPLES
}

/// How an output writes the line ends inside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// Unchanged: octet-counted frames and datagrams.
    Kept,
    /// As `\\n`: outputs in which a line end terminates the message.
    Escaped,
}

/// Checks that each sample has arrived exactly once, with all its fields.
#[track_caller]
pub(crate) fn assert_samples(records: &[Record], line_ends: LineEnds) {
    assert_eq!(records.len(), SAMPLES.len(), "{records:#?}");
    for sample in &SAMPLES {
        let mut matching = records
            .iter()
            .filter(|record| record.message_id == sample.message_id);
        let record = matching
            .next()
            .unwrap_or_else(|| panic!("no event {}: {records:#?}", sample.message_id));
        assert!(matching.next().is_none(), "{} twice", sample.message_id);
        sample.assert_in(record, line_ends);
    }
}

impl Sample {
    #[track_caller]
    fn assert_in(&self, record: &Record, line_ends: LineEnds) {
        assert_eq!(record.hostname, self.computer, "{record:?}");
        assert_eq!(record.app_name, self.app_name, "{record:?}");
        assert_eq!(record.priority, self.priority, "{record:?}");
        // Some servers show a field that is "-" as empty.
        let process_id = Some(record.process_id.as_str()).filter(|id| !id.is_empty());
        assert_eq!(process_id.unwrap_or("-"), self.process_id, "{record:?}");
        assert_eq!(record.value("event", "Channel"), Some(self.channel));
        assert_eq!(record.value("event", "EventRecordID"), Some(self.record_id));
        assert_eq!(record.value("event", "Auth"), Some("ntlm-anonymous"));
        assert_eq!(record.value("origin", "ip"), Some("127.0.0.1"));
        for (name, value) in self.data {
            let expected = match line_ends {
                LineEnds::Kept => (*value).to_owned(),
                LineEnds::Escaped => {
                    let value = value.replace('\\', "\\\\");
                    value.replace('\n', "\\n").replace('\t', "\\t")
                }
            };
            let got = record.value("data", name).unwrap_or_default();
            assert_eq!(got, expected, "{name} of {record:#?}");
        }
        assert!(!record.message.trim().is_empty(), "{record:?}");
        if self.message_id == "139" {
            let text = "The time service has started advertising.";
            assert!(record.message.trim_start().starts_with(text), "{record:?}");
        }
    }
}

static SAMPLES: [Sample; 10] = [
    Sample {
        record_id: "501001",
        timestamp: "2025-03-11T08:15:27.123456Z",
        message_id: "4624",
        data: &[
            ("SubjectUserSid", "S-1-5-18"),
            ("SubjectUserName", "WS-07$"),
            ("TargetUserName", "alice"),
            ("TargetDomainName", "EXAMPLE"),
            ("LogonType", "3"),
            ("LogonProcessName", "NtLmSsp "),
            ("ImpersonationLevel", "%%1833"),
            ("IpAddress", "192.0.2.17"),
            ("IpPort", "49822"),
        ],
        ..SECURITY
    },
    Sample {
        record_id: "501002",
        priority: 10 * 8 + 4,
        timestamp: "2025-03-11T08:15:31.000000Z",
        message_id: "4625",
        data: &[
            ("TargetUserName", "bob\"; DROP TABLE users]"),
            ("Status", "0xc000006d"),
            ("FailureReason", "%%2313"),
            ("SubStatus", "0xc000006a"),
            ("WorkstationName", "\\\\LAB\\C$"),
        ],
        ..SECURITY
    },
    Sample {
        record_id: "501003",
        timestamp: "2025-03-11T08:16:02.75Z",
        process_id: "4",
        message_id: "4688",
        data: &[
            ("SubjectUserName", "alice"),
            ("NewProcessName", "C:\\Windows\\System32\\cmd.exe"),
            ("TokenElevationType", "%%1938"),
            (
                "CommandLine",
                "cmd.exe /c \"for %i in ([a-z]*.txt) do @echo %i >> \\\\srv01\\out$\\list.txt\" & exit",
            ),
            ("MandatoryLabel", "S-1-16-8192"),
        ],
        ..SECURITY
    },
    Sample {
        record_id: "9001",
        timestamp: "2025-03-11T08:16:40.123Z",
        app_name: "Service_Control_Manager",
        process_id: "540",
        message_id: "7036",
        data: &[
            ("param1", "Windows Update"),
            ("param2", "running"),
            ("Binary", "77007500610075007300650072007600"),
        ],
        ..SYSTEM
    },
    Sample {
        record_id: "3301",
        priority: 8 + 3,
        timestamp: "2025-03-11T08:17:00.000000Z",
        app_name: "Application_Error",
        process_id: "-",
        message_id: "1000",
        channel: "Application",
        data: &[
            ("Data1", "notepad.exe"),
            ("Data2", "6.2.26100.1"),
            ("Data3", "first line\nsecond line\tafter a tab\n"),
            ("Data4", ""),
            ("Data5", "C:\\Program Files\\Editor [beta]\\notepad.exe"),
        ],
        ..SYSTEM
    },
    Sample {
        record_id: "7712",
        priority: 8 + 7,
        timestamp: "2025-03-11T08:17:19.999999Z",
        app_name: "Microsoft-Windows-PowerShell",
        process_id: "8844",
        message_id: "4104",
        channel: "Microsoft-Windows-PowerShell/Operational",
        data: &[
            ("MessageNumber", "1"),
            ("MessageTotal", "1"),
            (
                "ScriptBlockText",
                "function Get-Tail {\n    param([string]$Path = \"C:\\logs\\app.log\", [int]$Count = 10)\n    $lines = Get-Content $Path | Where-Object { $_ -match '^\\[ERR\\]' -and $_ -ne \"\" }\n\n    $lines[-$Count..-1] | ForEach-Object { \"`t$_ <= '&'\" }\n}",
            ),
            ("ScriptBlockId", "6d1c6ef5-42a5-4b5c-8d63-7c8a2a0f4f10"),
            ("Path", ""),
        ],
        ..SYSTEM
    },
    Sample {
        record_id: "88",
        priority: 8 + 4,
        timestamp: "2025-03-11T08:18:05.5Z",
        app_name: "Microsoft-Windows-PrintService",
        process_id: "3120",
        message_id: "372",
        channel: "Microsoft-Windows-PrintService/Admin",
        data: &[
            ("Document", "Grüße aus Zürich – „Entwurf“.docx"),
            ("Owner", "мария"),
            ("Printer", "東京プリンター 🖨️"),
            ("Line_Number", "17"),
        ],
        ..SYSTEM
    },
    Sample {
        record_id: "501004",
        priority: 10 * 8 + 6,
        timestamp: "2025-03-11T08:18:30.000001Z",
        app_name: "Microsoft-Windows-Eventlog",
        process_id: "1036",
        message_id: "1102",
        data: &[
            (
                "SubjectUserSid",
                "S-1-5-21-1111111111-2222222222-3333333333-500",
            ),
            ("SubjectUserName", "Administrator"),
            ("SubjectDomainName", "EXAMPLE"),
        ],
        ..SECURITY
    },
    Sample {
        record_id: "9002",
        priority: 8 + 2,
        timestamp: "2025-03-11T08:20:00.0Z",
        app_name: "Microsoft-Windows-Kernel-Power",
        process_id: "4",
        message_id: "41",
        data: &[
            ("BugcheckCode", "0"),
            ("PowerButtonTimestamp", ""),
            ("LongPowerButtonPressDetected", "false"),
        ],
        ..SYSTEM
    },
    Sample {
        record_id: "9003",
        timestamp: "2025-03-11T08:20:41.424242Z",
        app_name: "Microsoft-Windows-Time-Service",
        process_id: "1480",
        message_id: "139",
        data: &[(
            "TimeSource",
            "ntp.example.test (ntp.m|0x8|[::]:123->[2001:db8::123]:123)",
        )],
        ..SYSTEM
    },
];

/// An event with `number` in its data, where it is not changed.
pub(crate) fn numbered_event(number: usize) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <Provider Name='Microsoft-Windows-Sysmon' Guid='{{5770385f-c22a-43e0-bf4c-06f5698ffbd9}}'/>\
         <EventID>22</EventID><Version>5</Version><Level>4</Level><Task>22</Task><Opcode>0</Opcode>\
         <Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime='2025-03-11T09:00:00.1Z'/>\
         <EventRecordID>{number}</EventRecordID><Correlation/>\
         <Execution ProcessID='2960' ThreadID='3416'/>\
         <Channel>Microsoft-Windows-Sysmon/Operational</Channel>\
         <Computer>ws-07.example.test</Computer><Security UserID='S-1-5-18'/></System>\
         <EventData><Data Name='QueryName'>host{number}.example.test</Data>\
         <Data Name='QueryResults'>::ffff:192.0.2.10;</Data>\
         <Data Name='Sequence'>{number}</Data></EventData></Event>"
    )
}

/// A file of the numbered events `0..count` for `wecrelay send`.
pub(crate) fn numbered_file(dir: &TempDir, count: usize) -> String {
    let path = dir.file("numbered.xml");
    let events: Vec<String> = (0..count).map(numbered_event).collect();
    std::fs::write(&path, events.join("\n")).unwrap();
    path
}
