package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logCall is a call of one of slog's methods.
type logCall struct {
	call     *ast.CallExpr
	method   string
	position token.Position
	within   ast.Node // the function it is in
}

// logCalls are those of the product: tests, the simulator and what else tests use
// log as they like.
func logCalls(t *testing.T) []logCall {
	t.Helper()
	var found []logCall
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "jirasim"):
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		imported := map[string]bool{}
		for _, i := range file.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			imported[filepath.Base(name)] = true
		}
		if imported["testing"] {
			return nil
		}
		for _, decl := range file.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || len(call.Args) == 0 || !slices.Contains([]string{"Warn", "Error", "Info", "Debug", "WarnContext", "ErrorContext", "InfoContext", "DebugContext", "LogAttrs", "Log"}, method.Sel.Name) {
					return true
				}
				if x, ok := method.X.(*ast.Ident); ok && imported[x.Name] && x.Name != "slog" && x.Name != "log" {
					return true // a function of a package, as http.Error
				}
				found = append(found, logCall{call, method.Sel.Name, files.Position(call.Pos()), decl})
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 50 {
		t.Fatalf("only %d log calls were found", len(found))
	}
	return found
}

// has reports whether the text is among the literals of n.
func has(n ast.Node, text string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		found = found || ok && literal.Value == strconv.Quote(text)
		return !found
	})
	return found
}

// says reports whether text is among the arguments of the call, or those put together
// before it in the same function.
func (l logCall) says(text string) bool {
	return has(l.call, text) || l.call.Ellipsis.IsValid() && has(l.within, text)
}

// Whoever is warned is told what to do: each warning and error in the log has an
// attribute "hint".
func TestEachWarningSaysWhatToDo(t *testing.T) {
	for _, l := range logCalls(t) {
		switch l.method {
		case "Info", "InfoContext", "Debug", "DebugContext":
			continue
		}
		if !l.says("hint") {
			t.Errorf(`%s: no "hint" that says what to do`, l.position)
		}
	}
}

// A line about a call has the ids of its span by the context, and in no other way.
func TestLinesAboutCallsHaveTheirSpan(t *testing.T) {
	for _, l := range logCalls(t) {
		if l.says("trace_id") {
			t.Errorf(`%s: "trace_id" comes from the context`, l.position)
		}
		if l.says("record") && !strings.HasSuffix(l.method, "Context") && l.method != "LogAttrs" && l.method != "Log" {
			t.Errorf("%s: a line about a call is logged with its context", l.position)
		}
	}
}
