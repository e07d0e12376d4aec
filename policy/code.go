package policy

// Code is the stable reason of a denial. It is part of the outside contract:
// it stands in problem documents, call records and metrics. The empty Code
// means that nothing was refused.
type Code string

// The codes of this package; [Codes] lists them with their meanings.
const (
	CodePathMalformed          Code = "path_malformed"
	CodeOperationNotDocumented Code = "operation_not_documented"
	CodeMethodNotDocumented    Code = "method_not_documented"
	CodeParameterMalformed     Code = "parameter_malformed"
	CodeQueryMalformed         Code = "query_malformed"
	CodeQueryNotDocumented     Code = "query_not_documented"
	CodeOperationSwitchedOff   Code = "operation_switched_off"
	CodeProjectNotAllowed      Code = "project_not_allowed"
	CodeBodyRequired           Code = "body_required"
	CodeBodyTooLarge           Code = "body_too_large"
	CodeContentTypeNotAllowed  Code = "content_type_not_allowed"
	CodeBodyMalformed          Code = "body_malformed"
	CodeBodyNotAllowed         Code = "body_not_allowed"
)

// CodeMeaning is a code with its meaning in one line.
type CodeMeaning struct {
	Code    Code   `json:"code"`
	Meaning string `json:"meaning"`
}

// Codes lists every code of this package, in the order in which a call meets
// them.
func Codes() []CodeMeaning {
	return []CodeMeaning{
		{CodePathMalformed, "The path could be read in more than one way: escapes of separators, dot or empty segments, ';', '\\', control or non-ASCII bytes."},
		{CodeOperationNotDocumented, "No documented operation of this edition has this path."},
		{CodeMethodNotDocumented, "The path is documented, with other methods."},
		{CodeParameterMalformed, "An identifier in the path is not a project key, issue key or id as Jira writes them."},
		{CodeQueryMalformed, "The query is not valid: bad escapes, ';', control bytes, empty pairs, or over its limits."},
		{CodeQueryNotDocumented, "The query has a name or a value that is not documented for the operation, or repeats a single-valued name."},
		{CodeOperationSwitchedOff, "The operation is documented, and the operator has switched it off, or not switched it on."},
		{CodeProjectNotAllowed, "The operator limits this call to other projects, or the call does not say which project it is about."},
		{CodeBodyRequired, "The operation needs a body and none was sent."},
		{CodeBodyTooLarge, "The body is over 1 MiB."},
		{CodeContentTypeNotAllowed, "The body is not declared as application/json in UTF-8."},
		{CodeBodyMalformed, "The body is not one strict JSON object: syntax, encoding, repeated names or depth."},
		{CodeBodyNotAllowed, "The body has members that the operation's purpose does not need."},
	}
}
