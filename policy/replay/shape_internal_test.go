package replay

import (
	"reflect"
	"testing"

	"jiragate/policy"
)

// TestShapeHasAllThatIsDecidedOn: calls that differ in anything are not taken for
// alike, nor does a copy of a shape lose anything.
func TestShapeHasAllThatIsDecidedOn(t *testing.T) {
	none := shapeOf(&policy.Recorded{})
	for field, value := range reflect.ValueOf(&policy.Recorded{}).Elem().Fields() {
		t.Run(field.Name, func(t *testing.T) {
			var c policy.Recorded
			f := reflect.ValueOf(&c).Elem().FieldByIndex(field.Index)
			switch value.Interface().(type) {
			case bool:
				f.SetBool(true)
			case []string:
				f.Set(reflect.ValueOf([]string{"expand"}))
			default:
				f.SetString("another")
			}
			s := shapeOf(&c)
			if s == none {
				t.Error("the shape is that of a call without it")
			}
			if s.clone() != s {
				t.Errorf("the copy is %+v of %+v", s.clone(), s)
			}
		})
	}
}
