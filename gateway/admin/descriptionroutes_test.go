package admin

import (
	"time"

	"jiragate/gateway/audit"
)

// described is what the OpenAPI document says about a route, besides what it has from
// the route and from the Go types.
type described struct {
	id          string // of the operation, for programs that are made of the document
	summary     string // a line
	description string
	query       []parameter
	request     any      // a value of the type of the body; nil if there is none
	mayBeEmpty  bool     // the body may be left out
	answer      any      // a value of the type of the answer; nil if it is no JSON
	status      int      // of the answer; 0 means 200
	also        int      // another status with the same answer, or 0
	paged       bool     // the answer may be a page
	media       []string // of the answer, besides JSON
	conflict    bool     // it may be refused because of the state that something is in
}

// parameter is one of a query or of a path.
type parameter struct {
	name, description string
	required          bool
	values            []string // all that it can have
	low, high         int      // bounds of an integer
}

// pathParameters are described once, since a name means the same in each route.
var pathParameters = []parameter{
	{name: "id", description: "The id of a connection."},
	{name: "name", description: "The name of a client."},
	{name: "connection", description: "The id of a connection."},
	{name: "address", description: "A public IP address of the region."},
	{name: "node", description: "The name of a gateway, or of its audit log."},
	{name: "ref", description: "The seq of a record, or its id."},
	{name: "sha256", description: "The SHA-256 of a policy in hexadecimal digits, or the first 8 or more of them."},
}

// Parameters of lists.
var (
	textParameter   = parameter{name: "text", description: "Only those with this in what names them, in upper or lower case."}
	afterParameter  = parameter{name: "after", description: "Only those that are sorted behind this name."}
	grantsParameter = parameter{name: "grants", description: "Tell at most so many connections of a client, the first by id, instead of all.", low: 1, high: MaxPage}
	limitParameter  = parameter{name: "limit", description: "Answer with a page of at most so many, each told in full. The header says how many match, and where the next page is.", low: 1, high: MaxPage}
)

// Parameters of the audit log.
var (
	recordsConnection = parameter{name: "connection", description: "Only those of the connection with this id."}
	recordsClient     = parameter{name: "client", description: "Only those of the client of this name. An act has who did it."}
	recordsDecision   = parameter{name: "decision", description: "Only those that were allowed, or refused.", values: enums["Record.decision"]}
	recordsCode       = parameter{name: "code", description: "Only those with this code."}
	recordsOperation  = parameter{name: "operation", description: "Only those of this operation, as issue.create."}
	recordsStatus     = parameter{name: "status", description: "Only those with this HTTP status.", low: 100, high: 999}
	recordsText       = parameter{name: "text", description: "Only those with this in any field, in upper or lower case. One of 16 bytes or more, as an id, is found fast in the log."}
	recordsKind       = parameter{name: "kind", description: "Only those of calls, or of acts of administration.", values: texts(audit.KindCall, audit.KindAct)}
	sinceParameter    = parameter{name: "since", description: aTime + "Only what was then or later."}
	untilParameter    = parameter{name: "until", description: aTime + "Only what was earlier."}
)

const aTime = "A time (RFC 3339), a date in UTC, or a duration before now, as 24h. "

// descriptions has an entry for each of the routes.
var descriptions = map[string]described{
	"GET /healthz": {id: "getHealth", summary: "Whether the process serves", answer: Health{}},
	"GET /readyz": {id: "getReadiness", summary: "Whether calls can be served",
		description: "Runs the checks side by side, each for 5 seconds at most. The status is 503 if one of them fails. Everybody is told which, what that means and what to do; the errors are told to callers of this machine. An answer serves everybody for a second.",
		answer:      Readiness{}, also: 503},
	"GET /v1/openapi.json": {id: "getDescription", summary: "This document", answer: object{}},
	"GET /v1/overview": {id: "getOverview", summary: "The state of the gateway at a glance",
		description: "Counts, the policy in force, the egress addresses, the checks of /readyz with their errors, and warnings of what holds now and may not be meant.", answer: Overview{}},

	"POST /v1/reload": {id: "reload", summary: "Read the files again that the settings name",
		description: "Policy, certificates and keys of the listeners, CAs, egress addresses, keyset and secrets. Each is checked first. If one is broken, all stay as they were, and ok is false. Environment variables themselves can't be read again.",
		answer:      Reloaded{}},

	"GET /v1/connections": {id: "listConnections", summary: "List the connections, sorted by id",
		description: "All that match the query. Without limit, the rows have no grant, no last call and nothing else that takes a look into a credential. A parameter that is empty is as if it weren't there.",
		query: []parameter{
			{name: "state", description: "Only those in this state.", values: enums["Connection.state"]},
			{name: "edition", description: "Only those of this edition of Jira.", values: enums["Connection.edition"]},
			{name: "region", description: "Only those of this region.", values: enums["Connection.region"]},
			{name: "client", description: "Only those that the client of this name may use."},
			{name: "text", description: "Only those with this in their id, site URL or base URL, in upper or lower case."},
			afterParameter, limitParameter,
		},
		answer: []Connection{}, paged: true},
	"POST /v1/connections": {id: "addConnection", summary: "Add a connection",
		description: "Where its credential holds no consent yet, the connection waits for one, and the answer has the link to it, which is secret and shown this once.",
		request:     newConnectionBody{}, answer: Invited{}, status: 201, conflict: true},
	"GET /v1/connections/{id}": {id: "getConnection", summary: "Show one connection", description: "Never its credential.", answer: Connection{}},
	"DELETE /v1/connections/{id}": {id: "removeConnection", summary: "Remove a connection",
		description: "Revokes its grant where Jira offers that, destroys its credential, and forgets the rest.", answer: Removal{}, conflict: true},
	"POST /v1/connections/{id}/test": {id: "testConnection", summary: "Make one call over a connection",
		description: "It asks Jira for the account. It goes the way of every call, and is on record as one.", answer: ProbeResult{}},
	"POST /v1/connections/{id}/disable": {id: "disableConnection", summary: "Refuse all calls of a connection", answer: Connection{}},
	"POST /v1/connections/{id}/enable": {id: "enableConnection", summary: "Let calls of a connection through again",
		description: "One that nobody has consented to waits for that.", answer: Connection{}},
	"PUT /v1/connections/{id}/credential": {id: "replaceCredential", summary: "Give a connection a new credential of the same kind",
		request: credentialBody{}, answer: Connection{}, conflict: true},
	"POST /v1/connections/{id}/consent": {id: "inviteToConsent", summary: "Make a link to the consent of a connection",
		description: "The link before it ends. It is secret, and shown this once.",
		request:     NewConsentLink{}, mayBeEmpty: true, answer: Invited{}, conflict: true},
	"POST /v1/connections/{id}/issues": {id: "importIssues", summary: "Remember issues that were published before there was a gateway",
		request: ImportIssues{}, answer: IssuesImported{}},

	"GET /v1/clients": {id: "listClients", summary: "List the clients, sorted by name",
		description: "All that match the query. The last call is told on pages only.",
		query: []parameter{
			{name: "connection", description: "Only those that may use the connection of this id."},
			textParameter, afterParameter, limitParameter, grantsParameter,
		},
		answer: []Client{}, paged: true},
	"POST /v1/clients": {id: "addClient", summary: "Add a client",
		description: "The token is shown this once; one that was brought isn't sent back.",
		request:     newClientBody{}, answer: IssuedToken{}, status: 201, conflict: true},
	"GET /v1/clients/{name}":    {id: "getClient", summary: "Show one client", answer: Client{}, query: []parameter{grantsParameter}},
	"DELETE /v1/clients/{name}": {id: "removeClient", summary: "Remove a client", description: "Its token ends at once.", status: 204},
	"POST /v1/clients/{name}/token": {id: "rotateToken", summary: "Give a client a new token", description: "The old one ends at once.",
		request: newClientTokenBody{}, answer: IssuedToken{}, conflict: true},
	"PUT /v1/clients/{name}/grants/{connection}":    {id: "grantConnection", summary: "Let a client use a connection", status: 204},
	"DELETE /v1/clients/{name}/grants/{connection}": {id: "revokeGrant", summary: "No longer let a client use a connection", status: 204},

	"GET /v1/keys": {id: "listKeys", summary: "List the keys of the keyset, the oldest first", description: "With what is sealed under each.", answer: []Key{}},
	"POST /v1/keys/prepare": {id: "prepareKey", summary: "Add a key that seals nothing yet",
		description: "So the keyset can be brought to each gateway that shares the store before one of them seals under the key. Where a key is prepared already, it is the answer.",
		answer:      KeyPrepared{}, conflict: true},
	"POST /v1/keys/rotate": {id: "rotateKey", summary: "Make the prepared key the primary one, or add one",
		description: "What is sealed under the old ones stays so until it is rewrapped. Where the store may be shared, a key must have been prepared, or at_once be true.",
		request:     Rotation{}, mayBeEmpty: true, answer: Rotated{}, conflict: true},
	"POST /v1/keys/rewrap": {id: "rewrap", summary: "Seal one batch of records under the primary key",
		description: "To be asked again until none is left. Refused where another gateway seals under the key that is only prepared here.", answer: Rewrapped{}, conflict: true},
	"POST /v1/keys/drop": {id: "dropKeys", summary: "Remove the keys that nothing is sealed under",
		description: "Neither the primary one nor a prepared one. Where the store may be shared, the caller must know that each gateway has the new primary key.",
		request:     DropKeys{}, mayBeEmpty: true, answer: Dropped{}, conflict: true},

	"GET /v1/ca": {id: "getCA", summary: "The root certificates that clients are to trust",
		description: "The one that signs and, while one is prepared, the next.", answer: CARoots{}, conflict: true},
	"POST /v1/ca/prepare": {id: "prepareCA", summary: "Make the next root, which signs nothing yet",
		description: "So each client can trust it before it signs. Where one is prepared already, it is the answer. Refused where the root was brought.",
		answer:      CARoots{}, conflict: true},
	"POST /v1/ca/rotate": {id: "rotateCA", summary: "Have the next root sign from now on, and destroy the old one's key",
		description: "Open tunnels go on. One must have been prepared, or at_once be true. Refused where the root was brought.",
		request:     CARotation{}, mayBeEmpty: true, answer: CARoots{}, conflict: true},

	"GET /v1/audit/key":         {id: "getAuditKey", summary: "The public half of the key that signs checkpoints and publications", answer: AuditKey{}},
	"POST /v1/audit/key/rotate": {id: "rotateAuditKey", summary: "Make a new audit key, which the one before endorses", answer: AuditKey{}, conflict: true},
	"POST /v1/audit/pseudonym": {id: "getPseudonym", summary: "The pseudonym of an identifier or of a client's address",
		description: "It is asked for in a body, so that no log of requests has what it is about.", request: PseudonymRequest{}, answer: Pseudonym{}},
	"GET /v1/audit/records": {id: "listRecords", summary: "List the records of calls and of acts of administration, the newest first",
		description: "A page of those that match the query. A parameter that is empty is as if it weren't there. A question that takes longer than 20 seconds is refused: narrow the time.",
		query: []parameter{
			sinceParameter, untilParameter, recordsConnection, recordsClient,
			recordsOperation, recordsDecision, recordsCode, recordsStatus, recordsText, recordsKind,
			{name: "before", description: "Only those before the record with this seq: the next of the page before.", low: 1, high: maxSeq},
			{name: "limit", description: "Answer with at most so many; without it, 50.", low: 1, high: maxRecords},
		},
		answer: AuditRecords{}},
	"GET /v1/audit/records/{ref}": {id: "getRecord", summary: "Show one record", answer: AuditRecord{}},
	"GET /v1/audit/records/{ref}/proof": {id: "getProof", summary: "The proof that a record is in the log (C2SP tlog-proof)",
		description: "It holds with the public audit key alone: jiragate audit verify --proof checks it. A record that no checkpoint covers yet has none.",
		media:       []string{"text/plain"}, conflict: true},
	"GET /v1/audit/records/stream": {id: "streamRecords", summary: "Send records as they are written",
		description: `Server-sent events: "record", of which the data is a record as in the log and the id its seq, and "missed", of which the data is {"missed": N}, where N records were lost because they were read too slowly. Records come as calls end, so seq may jump back by a few. A stream ends after 10 minutes: open the next.`,
		query:       []parameter{recordsConnection, recordsClient, recordsOperation, recordsDecision, recordsCode, recordsStatus, recordsText, recordsKind}, media: []string{"text/event-stream"}},
	"GET /v1/audit/checkpoint": {id: "getCheckpoint", summary: "How far the audit log is signed, with the newest checkpoint", answer: AuditCheckpoint{}},
	"GET /v1/audit/activity": {id: "getActivity", summary: "Count calls, refusals, rate limits and latency over time",
		description: "Without parameters, of the last 24 hours, by 5 minutes. Of at most 1500 steps; they are of whole hours where the window begins more than 25 hours ago, and go 32 days back.",
		query: []parameter{
			sinceParameter, untilParameter,
			{name: "step", description: "How long a step is, in seconds: whole minutes.", low: int(minStep / time.Second), high: int(maxStep / time.Second)},
			recordsConnection,
		},
		answer: Activity{}},
	"GET /v1/audit/nodes": {id: "listNodes", summary: "List the gateways that have published checkpoints of their audit logs in the shared store",
		description: "Nothing of it is believed because of where it was: who verifies a log checks the signatures.",
		query:       []parameter{{name: "kept", description: "Tell older checkpoints, too.", values: []string{"true", "false"}}}, answer: AuditNodes{}},
	"POST /v1/audit/nodes/{node}/retire": {id: "retireNode", summary: "Say that a gateway has ended on purpose",
		description: "Its newest checkpoint stays, and its log is not asked for any more than that. Should it publish another one, it has not ended.", status: 204, conflict: true},
	"POST /v1/audit/report": {id: "makeReport", summary: "Make the report on a connection and a month",
		description: "The promise against what happened, as jiragate audit report makes it. The page (html) is signed. Each is an act on record, with the SHA-256 of what was made. One is made at a time.",
		request:     ReportRequest{}, answer: object{}, media: []string{"text/html", "text/csv"}},
	"POST /v1/audit/report/signature": {id: "signReport", summary: "Sign the page of an audit report", request: ReportToSign{}, answer: SignedNote{}},
	"POST /v1/audit/report/checksums": {id: "signReportFiles", summary: "Sign the checksums of a report's files", request: ReportFiles{}, answer: SignedNote{}},

	"GET /v1/policy": {id: "getPolicy", summary: "The policy in force", answer: PolicyView{}},
	"GET /v1/policy/history": {id: "listPolicies", summary: "List the policies that have decided calls, the newest first",
		description: "Each is checked: whether it still has the SHA-256 that call records name.", answer: []KeptPolicy{}},
	"GET /v1/policy/history/{sha256}": {id: "getKeptPolicy", summary: "Show a policy that has decided calls",
		description: "Also one that was altered, or that this version can't compile: its problem says so.", answer: KeptPolicyView{}, conflict: true},
	"GET /v1/policy/diff": {id: "diffPolicies", summary: "Say what changed from one policy to another",
		description: "In what they mean, not in how they are written.",
		query: []parameter{
			{name: "from", description: `The SHA-256 of a policy that has decided, the first 8 or more digits of it, or "current".`, required: true},
			{name: "to", description: "That of the other, in the same way.", required: true},
		},
		answer: PolicyDiff{}, conflict: true},
	"GET /v1/policy/codes": {id: "listCodes", summary: "List the codes that calls are refused with, or fail with", answer: []Code{}},
	"POST /v1/policy/explain": {id: "explain", summary: "Say what would be decided about a call", description: "Nothing is sent.",
		request: ExplainRequest{}, answer: Explanation{}},

	"GET /v1/egress":             {id: "getEgress", summary: "The egress addresses of the region, and their history", answer: EgressView{}},
	"GET /v1/egress/publication": {id: "publishEgress", summary: "The documents about the addresses for customers' security teams, signed", answer: []PublishedFile{}},
	"POST /v1/egress/verify": {id: "verifyEgress", summary: "Ask echo services which address each call is seen to come from",
		request: VerifyRequest{}, answer: EgressReport{}, conflict: true},
	"POST /v1/egress/addresses/{address}/announce": {id: "announceAddress", summary: "Announce an address, to be used from a date on",
		request: EgressDate{}, answer: EgressChange{}, conflict: true},
	"POST /v1/egress/addresses/{address}/retire": {id: "retireAddress", summary: "Announce that an address is no longer used from a date on",
		request: EgressDate{}, answer: EgressChange{}, conflict: true},

	"GET /v1/store/backup": {id: "backup", summary: "A consistent copy of the store",
		description: "Credentials are sealed in it. An answer that is cut short is no backup.", media: []string{"application/octet-stream"}},
	"POST /v1/store/check": {id: "checkStore", summary: "Read everything in the store and check that it fits together", answer: StoreCheck{}},

	"POST /v1/upgrade": {id: "upgrade", summary: "Have a new process with the program that is on disk now take over",
		description: "By the admin socket only. The answer comes once the new process is prepared; the overview tells what came of it, by its pid and upgrade.",
		answer:      Prepared{}, status: 202, conflict: true},
}
