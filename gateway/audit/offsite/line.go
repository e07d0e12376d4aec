package offsite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
)

// lines writes checkpoints as lines of JSON.
type lines struct {
	w    io.Writer
	torn bool // the last line has no end
}

func (l *lines) carry(_ context.Context, c *checkpoint) error {
	b, err := json.Marshal(struct {
		Msg    string `json:"msg"`
		Origin string `json:"origin"`
		Size   uint64 `json:"size"`
		Note   string `json:"note"`
	}{"audit checkpoint", c.origin, c.size, string(c.signed)})
	if err != nil {
		return fmt.Errorf("write the checkpoint as JSON: %w", err)
	}
	b = append(inASCII(b), '\n')
	if l.torn {
		b = append([]byte{'\n'}, b...)
	}
	// In one Write, so that it stays whole among the lines of others.
	n, err := l.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		l.torn = l.torn || n > 0
		return fmt.Errorf("write the checkpoint to standard output: %w", err)
	}
	l.torn = false
	return nil
}

// inASCII escapes what else could steer a terminal or hide on it. All that is not
// ASCII is in the strings of the JSON, so its meaning stays.
func inASCII(b []byte) []byte {
	out := make([]byte, 0, len(b)+64)
	for _, r := range string(b) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
