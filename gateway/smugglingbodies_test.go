package gateway_test

import (
	"slices"
	"strings"
)

// smugglingRow is a message of HTTP/1.x, behind which another request follows by the
// same connection.
type smugglingRow struct {
	name string
	in   string   // a template, see fill
	want []string // all answers in their order: what Jira echoes, or a refusal
	// outside is want where it is another one outside of tunnels.
	outside []string
	// cut says that nothing follows, but the client ends its side in the middle. Outside
	// of tunnels it has no answer then, and a record that says that it has left.
	cut bool
	// ownReading says that net/http reads the message in another way, as the row's name
	// says.
	ownReading bool
}

// left stands for the answer of a call whose client has left: there is only a record of it.
const left = "left"

// hidden is the request that nobody may see.
const hidden = "GET @hidden HTTP/1.1\r\n<host>\r\n"

var (
	malformed           = []string{"400 request_malformed"}
	getFirst, postFirst = []string{"GET first", "GET next"}, []string{"POST first", "GET next"}
	issue               = issueOf("first")
)

func getWith(fields string) string { return "GET @first HTTP/1.1\r\n<host>" + fields + "\r\n" }

func postWith(fields, body string) string {
	return "POST @issue HTTP/1.1\r\n<host>Content-Type: application/json\r\n" + fields + "\r\n" + body
}

// sized is a write with a field that tells its length, N.
func sized(field string) string {
	return postWith(strings.ReplaceAll(field, "N", itoa(len(issue)))+"\r\n", issue)
}

// coded is a write in chunks, with the field that says so.
func coded(field string) string {
	return postWith(field+"\r\n", hex(len(issue))+"\r\n"+issue+"\r\n0\r\n\r\n")
}

// chunks is a write of which these are the chunks. N is the length of the first one, which
// is BODY.
func chunks(framing string) string {
	return postWith("Transfer-Encoding: chunked\r\n", strings.NewReplacer("N", hex(len(issue)), "BODY", issue).Replace(framing))
}

var smuggling = slices.Concat(lengths, codings, chunked, expectations, lines, fieldLines, connections)

// Content-Length, alone and against Transfer-Encoding.
var lengths = []smugglingRow{
	{name: "nothing special", in: getWith(""), want: getFirst},
	{name: "a plain length", in: sized("Content-Length: N"), want: postFirst},
	{name: "CL.TE", in: postWith("Content-Length: "+itoa(len("0\r\n\r\n"))+"\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden), want: malformed},
	{name: "CL.TE, the whole a body", in: postWith("Content-Length: <length>\r\nTransfer-Encoding: chunked\r\n", hidden), want: malformed},
	{name: "TE.CL", in: postWith("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "<chunk>\r\n"+hidden+"\r\n0\r\n\r\n"), want: malformed},
	{name: "CL.TE of a read", in: getWith("Content-Length: <length>\r\nTransfer-Encoding: chunked\r\n") + hidden, want: malformed},
	{name: "CL.0, a read with a body that is a request", in: getWith("Content-Length: <length>\r\n") + hidden, want: getFirst},
	{name: "CL.0, a write whose body is a request", in: postWith("Content-Length: <length>\r\n", hidden), want: []string{"403 body_malformed", "GET next"}},
	{name: "CL.0, a delete with a body that is a request", in: "DELETE @first HTTP/1.1\r\n<host>Content-Length: <length>\r\n\r\n" + hidden, want: []string{"403 method_not_documented", "GET next"}},
	{name: "CL.0, OPTIONS", in: "OPTIONS @first HTTP/1.1\r\n<host>Content-Length: <length>\r\n\r\n" + hidden, want: []string{"403 method_not_documented", "GET next"}},
	{name: "CL.0, HEAD", in: "HEAD @first HTTP/1.1\r\n<host>Content-Length: <length>\r\n\r\n" + hidden, want: []string{"403", "GET next"}},
	// The length says plainly that the next request begins here.
	{name: "0.CL, a length of nothing and a request", in: postWith("Content-Length: 0\r\n", "GET @second HTTP/1.1\r\n<host>\r\n"), want: []string{"403 body_required", "GET second", "GET next"}},
	{name: "0.CL, no length and a body", in: postWith("", issue), want: []string{"403 body_required", "400 request_malformed"}},
	{name: "0.CL, behind a field that no reader knows", in: getWith("Content-Length2: 5\r\n"), want: getFirst},
	{name: "two equal lengths", in: sized("Content-Length: N\r\nContent-Length: N"), want: malformed},
	{name: "two lengths", in: sized("Content-Length: N\r\nContent-Length: 0"), want: malformed},
	{name: "two lengths, in other letters", in: sized("Content-Length: 0\r\ncontent-length: N"), want: malformed},
	{name: "a list of equal lengths", in: sized("Content-Length: N, N"), want: malformed},
	{name: "a list of lengths", in: sized("Content-Length: 0,N"), want: malformed},
	{name: "length +", in: sized("Content-Length: +N"), want: malformed},
	{name: "length -", in: sized("Content-Length: -N"), want: malformed},
	{name: "length -0", in: getWith("Content-Length: -0\r\n"), want: malformed},
	{name: "length 0x", in: postWith("Content-Length: 0x"+hex(len(issue))+"\r\n", issue), want: malformed},
	{name: "length in hexadecimal", in: postWith("Content-Length: 5a\r\n", issue), want: malformed},
	{name: "length with a point", in: sized("Content-Length: N.0"), want: malformed},
	{name: "length with an exponent", in: sized("Content-Length: Ne0"), want: malformed},
	{name: "length with an underscore", in: sized("Content-Length: 1_0"), want: malformed},
	{name: "length quoted", in: sized(`Content-Length: "N"`), want: malformed},
	{name: "length with a parameter", in: sized("Content-Length: N;x"), want: malformed},
	{name: "length and a word", in: sized("Content-Length: N bytes"), want: malformed},
	{name: "length and another one", in: sized("Content-Length: N 0"), want: malformed},
	{name: "length in Arabic digits", in: sized("Content-Length: \u0665"), want: malformed},
	{name: "length behind a vertical tab", in: sized("Content-Length: \vN"), want: malformed},
	{name: "length before a form feed", in: sized("Content-Length: N\f"), want: malformed},
	{name: "length behind a non-breaking space", in: sized("Content-Length: \u00a0N"), want: malformed},
	{name: "length with NUL", in: sized("Content-Length: N\x00"), want: malformed},
	{name: "length behind CR", in: sized("Content-Length: \rN"), want: malformed},
	{name: "length, folded", in: sized("Content-Length:\r\n N"), want: malformed},
	{name: "length of no digits", in: sized("Content-Length:"), want: malformed},
	{name: "length of 2^63", in: sized("Content-Length: 9223372036854775808"), want: malformed},
	{name: "length that wraps at 64 bits", in: postWith("Content-Length: 18446744073709551621\r\n", issue), want: malformed},
	{name: "length that wraps at 32 bits", in: postWith("Content-Length: 4294967301\r\n", issue), want: []string{"413 body_too_large"}},
	{name: "length with zeros before it", in: sized("Content-Length: 000N"), want: postFirst},
	{name: "length between tabs", in: sized("Content-Length: \tN\t"), want: postFirst},
	{name: "length without a space", in: sized("Content-Length:N"), want: postFirst},
	{name: "length, space before the colon", in: sized("Content-Length : N"), want: malformed},
	{name: "length, tab before the colon", in: sized("Content-Length\t: N"), want: malformed},
	{name: "length, NUL in the name", in: sized("Content-Length\x00: N"), want: malformed},
	{name: "length, underscore in the name", in: postWith("Content_Length: 5\r\n", ""), want: []string{"403 body_required", "GET next"}},
	{name: "length, space before the name", in: sized("X: y\r\n Content-Length: N"), want: malformed},
	{name: "length, behind a bare LF", in: sized("X: y\nContent-Length: N"), want: malformed},
	{name: "length, behind a bare CR", in: sized("X: y\rContent-Length: N"), want: malformed},
	{name: "a body shorter than said", in: postWith("Content-Length: 500\r\n", issue), want: malformed, outside: []string{left}, cut: true},
	{name: "a body longer than said", in: postWith("Content-Length: "+itoa(len(issue))+"\r\n", issue+"x"), want: []string{"POST first", "403 method_not_documented"}},
	{name: "an empty line behind the body", in: sized("Content-Length: N") + "\r\n", want: []string{"POST first", "400 request_malformed"}},
}

// Transfer-Encoding, in all its disguises.
var codings = []smugglingRow{
	{name: "chunked", in: coded("Transfer-Encoding: chunked"), want: postFirst},
	{name: "chunked, in other letters", in: coded("tRaNsFeR-eNcOdInG: cHuNkEd"), want: postFirst},
	{name: "chunked without a space", in: coded("Transfer-Encoding:chunked"), want: postFirst},
	{name: "chunked between blanks", in: coded("Transfer-Encoding: \t chunked \t"), want: postFirst},
	{name: "chunked, of a read", in: getWith("Transfer-Encoding: chunked\r\n") + "<chunk>\r\n" + hidden + "\r\n0\r\n\r\n", want: getFirst},
	{name: "xchunked", in: coded("Transfer-Encoding: xchunked"), want: malformed},
	{name: "chunkedx", in: coded("Transfer-Encoding: chunkedx"), want: malformed},
	{name: "chunked by a Kelvin sign", in: coded("Transfer-Encoding: chun\u212aed"), want: malformed},
	{name: "chunked, identity", in: coded("Transfer-Encoding: chunked, identity"), want: malformed},
	{name: "identity, chunked", in: coded("Transfer-Encoding: identity, chunked"), want: malformed},
	{name: "chunked twice in a list", in: coded("Transfer-Encoding: chunked, chunked"), want: malformed},
	{name: "chunked and a comma", in: coded("Transfer-Encoding: chunked,"), want: malformed},
	{name: "a comma and chunked", in: coded("Transfer-Encoding: ,chunked"), want: malformed},
	{name: "gzip, chunked", in: coded("Transfer-Encoding: gzip, chunked"), want: malformed},
	{name: "chunked, gzip", in: coded("Transfer-Encoding: chunked, gzip"), want: malformed},
	{name: "identity", in: coded("Transfer-Encoding: identity"), want: malformed},
	{name: "identity and a length", in: sized("Transfer-Encoding: identity\r\nContent-Length: N"), want: malformed},
	{name: "no coding", in: coded("Transfer-Encoding:"), want: malformed},
	{name: "no coding and a length", in: sized("Transfer-Encoding: \r\nContent-Length: N"), want: malformed},
	{name: "chunked with a parameter", in: coded("Transfer-Encoding: chunked;q=1"), want: malformed},
	{name: "chunked with a quoted parameter", in: coded(`Transfer-Encoding: chunked;x="y"`), want: malformed},
	{name: "chunked in quotes", in: coded(`Transfer-Encoding: "chunked"`), want: malformed},
	{name: "chunked behind a vertical tab", in: coded("Transfer-Encoding: \vchunked"), want: malformed},
	{name: "chunked before a vertical tab", in: coded("Transfer-Encoding: chunked\v"), want: malformed},
	{name: "chunked behind a form feed", in: coded("Transfer-Encoding: \fchunked"), want: malformed},
	{name: "chunked behind CR", in: coded("Transfer-Encoding: \rchunked"), want: malformed},
	{name: "chunked before CR", in: coded("Transfer-Encoding: chunked\r"), want: malformed},
	{name: "chunked before NUL", in: coded("Transfer-Encoding: chunked\x00"), want: malformed},
	{name: "chunked behind 0xff", in: coded("Transfer-Encoding: \xffchunked"), want: malformed},
	{name: "chunked behind a non-breaking space", in: coded("Transfer-Encoding: \xa0chunked"), want: malformed},
	{name: "chunked, folded", in: coded("Transfer-Encoding:\r\n chunked"), want: malformed},
	{name: "chunked, folded by a tab", in: coded("Transfer-Encoding:\r\n\tchunked"), want: malformed},
	{name: "chunked, folded behind a comma", in: coded("Transfer-Encoding: identity,\r\n chunked"), want: malformed},
	{name: "chunked, space before the colon", in: coded("Transfer-Encoding : chunked"), want: malformed},
	{name: "chunked, tab before the colon", in: coded("Transfer-Encoding\t: chunked"), want: malformed},
	{name: "chunked, NUL in the name", in: coded("Transfer-Encoding\x00: chunked"), want: malformed},
	{name: "chunked, CR in the name", in: coded("Transfer-Encoding\r: chunked"), want: malformed},
	{name: "chunked, space before the name", in: coded(" Transfer-Encoding: chunked"), want: malformed},
	{name: "chunked, behind a bare LF", in: coded("X: y\nTransfer-Encoding: chunked"), want: malformed},
	{name: "chunked, behind a bare CR", in: coded("X: y\rTransfer-Encoding: chunked"), want: malformed},
	{name: "chunked, behind two CR", in: coded("X: y\r\r\nTransfer-Encoding: chunked"), want: malformed},
	{name: "chunked, two colons", in: coded("Transfer-Encoding:: chunked"), want: malformed},
	{name: "chunked, equals sign", in: coded("Transfer-Encoding=chunked"), want: malformed},
	{name: "chunked, underscore in the name, and a length", in: sized("Transfer_Encoding: chunked\r\nContent-Length: N"), want: postFirst},
	{name: "chunked, underscore in the name", in: coded("Transfer_Encoding: chunked"), want: []string{"403 body_required", "400 request_malformed"}},
	{name: "TE is no coding", in: sized("TE: chunked\r\nContent-Length: N"), want: postFirst},
	{name: "two equal codings", in: coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), want: malformed},
	{name: "two codings, chunked first", in: coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), want: malformed},
	{name: "two codings, chunked last", in: coded("Transfer-Encoding: cow\r\ntransfer-encoding: chunked"), want: malformed},
	{name: "in HTTP/1.0", in: strings.Replace(coded("Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1), want: malformed},
	{name: "in HTTP/1.0 that stays", in: strings.Replace(coded("Connection: keep-alive\r\nTransfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1), want: malformed},
}

// Chunks, their extensions and trailers. A body that turns out to be framed wrongly is the
// last of its connection.
var chunked = []smugglingRow{
	{name: "two chunks", in: chunks("1\r\n{\r\n" + hex(len(issue)-1) + "\r\n" + issue[1:] + "\r\n0\r\n\r\n"), want: postFirst},
	{name: "size with zeros before it", in: chunks("0000N\r\nBODY\r\n00\r\n\r\n"), want: postFirst},
	{name: "size of many zeros", in: chunks("0000000N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "extension", in: chunks("N;a=b\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "extension of no name", in: chunks("N;\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "extension with a quoted line", in: chunks("N;a=\"\r\n\"\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "extension of the last chunk", in: chunks("N\r\nBODY\r\n0;a=b\r\n\r\n"), want: malformed},
	{name: "TERM.EXT", in: chunks("N;\nxx\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "EXT.TERM", in: chunks("2;\nxx\r\n0\r\n\r\n" + hidden), want: malformed},
	{name: "TERM.EXT by CR", in: chunks("N;\rxx\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "ONE.TWO", in: chunks("N\r\nBODY\n0\r\n\r\n"), want: malformed},
	{name: "TWO.ONE", in: chunks("N\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "TERM.SPILL", in: chunks("N\r\nBODYXX0\r\n\r\n"), want: malformed},
	{name: "SPILL.TERM", in: chunks("N\r\nBODY0\r\n\r\n" + hidden), want: malformed},
	{name: "size, space behind", in: chunks("N \r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size, space before", in: chunks(" N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size, tab behind", in: chunks("N\t\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size 0x", in: chunks("0xN\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size +", in: chunks("+N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size -", in: chunks("-N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size -0", in: chunks("N\r\nBODY\r\n-0\r\n\r\n"), want: malformed},
	{name: "size of no digits", in: chunks("\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size of other letters", in: chunks("Ng\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size with an underscore", in: chunks("0_N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size with NUL", in: chunks("N\x00\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size in wide digits", in: chunks("\uff15\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size that wraps at 32 bits", in: chunks("100000000\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size that wraps at 64 bits", in: chunks("1000000000000000N\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size of -1", in: chunks("FFFFFFFFFFFFFFFF\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size, CR behind", in: chunks("N\r\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "size, CR alone", in: chunks("N\rBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "an empty line before the size", in: chunks("\r\nN\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "longer than said", in: chunks("1\r\nBODY\r\n0\r\n\r\n"), want: malformed},
	{name: "longer than said by CRLF", in: chunks("N\r\nBODY\r\n\r\n0\r\n\r\n"), want: malformed},
	{name: "no last chunk", in: chunks("N\r\nBODY\r\n"), want: malformed, outside: []string{left}, cut: true},
	{name: "no last chunk, but a request", in: chunks("N\r\nBODY\r\n" + hidden), want: malformed},
	{name: "no last line", in: chunks("N\r\nBODY\r\n0\r\n"), want: malformed, outside: []string{left}, cut: true},
	{name: "no last line, but a request", in: chunks("N\r\nBODY\r\n0\r\n" + hidden), want: malformed},
	{name: "last line by LF", in: chunks("N\r\nBODY\r\n0\r\n\n" + hidden), want: malformed},
	{name: "last line by CR", in: chunks("N\r\nBODY\r\n0\r\n\r" + hidden), want: malformed},
	{name: "last chunk by LF", in: chunks("N\r\nBODY\r\n0\n\n" + hidden), want: malformed},
	{name: "an empty line behind the last one", in: chunks("N\r\nBODY\r\n0\r\n\r\n\r\n"), want: []string{"POST first", "400 request_malformed"}},
	{name: "a trailer", in: chunks("N\r\nBODY\r\n0\r\nX: y\r\n\r\n"), want: postFirst},
	{name: "a trailer of a length", in: chunks("N\r\nBODY\r\n0\r\nContent-Length: 500\r\n\r\n"), want: postFirst},
	{name: "a trailer of a coding", in: chunks("N\r\nBODY\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), want: postFirst},
	{name: "a trailer of a host", in: chunks("N\r\nBODY\r\n0\r\nHost: evil.example\r\n\r\n"), want: postFirst},
	{name: "a trailer of a connection", in: chunks("N\r\nBODY\r\n0\r\nJira-Connection: dc\r\nProxy-Authorization: Basic eDp5\r\n\r\n"), want: postFirst},
	{name: "a trailer, folded", in: chunks("N\r\nBODY\r\n0\r\nX: y\r\n z\r\n\r\n"), want: malformed},
	{name: "a trailer by LF", in: chunks("N\r\nBODY\r\n0\r\nX: y\n\r\n"), want: malformed},
	{name: "a trailer with CR", in: chunks("N\r\nBODY\r\n0\r\nX: y\rz\r\n\r\n"), want: malformed},
	{name: "a trailer with NUL", in: chunks("N\r\nBODY\r\n0\r\nX: y\x00\r\n\r\n"), want: malformed},
	{name: "a trailer without a colon", in: chunks("N\r\nBODY\r\n0\r\nX\r\n\r\n"), want: malformed},
	{name: "a trailer, and an empty line more before a request", in: chunks("N\r\nBODY\r\n0\r\nX: y\r\n\r\n") + "\r\n" + hidden, want: []string{"POST first", "400 request_malformed"}},
	{name: "a trailer announced that frames", in: postWith("Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: malformed},
}
