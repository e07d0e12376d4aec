package telemetry

import (
	"math"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

const (
	// histogramScale is how fine the buckets of histograms are at first: eight to each
	// doubling, so that a quantile is at most 5 % off. A histogram whose values are
	// further apart than maxBuckets of them halves it.
	histogramScale = 3
	// maxBuckets bounds the buckets of a histogram, about 1.3 kB of counts.
	maxBuckets = 160

	// The classic buckets that scrapers without native histograms see end at each
	// power of two from 61 µs to 128 s. Native ones end there, too, as long as they are
	// not wider than that, which with maxBuckets they never are for durations; so
	// nothing is estimated.
	lowestClassic, highestClassic = -14, 7
)

// native is the base-2 exponential histogram, Prometheus's native one.
func native() sdkmetric.Aggregation {
	return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: maxBuckets, MaxScale: histogramScale}
}

// nativeAggregation is native for histograms, and what is usual for the rest.
func nativeAggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return native()
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}

// pushedHistograms are the views for what is pushed: native histograms, too, unless
// the environment asks for the specification's default.
func pushedHistograms() []sdkmetric.Option {
	if os.Getenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION") == "explicit_bucket_histogram" {
		return nil
	}
	return []sdkmetric.Option{sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: "*", Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{Aggregation: native()},
	))}
}

// bothForms gives native histograms classic buckets as well, at the time of the
// scrape: the text formats have no native ones, and a Prometheus that takes native
// ones leaves the classic ones alone.
func bothForms(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if h := m.GetHistogram(); h != nil && h.Schema != nil && len(h.Bucket) == 0 {
					h.Bucket = classicBuckets(h)
				}
			}
		}
		return families, err
	})
}

// classicBuckets sums the buckets of a native histogram.
func classicBuckets(h *dto.Histogram) []*dto.Bucket {
	classic := make([]*dto.Bucket, 0, highestClassic-lowestClassic+1)
	at := newBucketReader(h)
	sum := h.GetZeroCount()
	for exponent := lowestClassic; exponent <= highestClassic; exponent++ {
		sum += at.upTo(indexOf(exponent, h.GetSchema()))
		cumulative, bound := sum, math.Ldexp(1, exponent)
		classic = append(classic, &dto.Bucket{CumulativeCount: &cumulative, UpperBound: &bound})
	}
	return classic
}

// indexOf is the last native bucket whose values are all at most 2^exponent. Bucket i
// ends at 2^(i/2^schema).
func indexOf(exponent int, schema int32) int {
	if schema < 0 {
		return exponent >> -schema
	}
	return exponent << schema
}

// bucketReader goes through the native buckets for positive values, in order.
type bucketReader struct {
	spans  []*dto.BucketSpan
	deltas []int64
	index  int   // of the next bucket
	count  int64 // of the bucket before: each has the difference to that
	left   uint32
}

func newBucketReader(h *dto.Histogram) *bucketReader {
	return &bucketReader{spans: h.GetPositiveSpan(), deltas: h.GetPositiveDelta()}
}

// upTo returns how many values are in the buckets not read yet, up to the one with
// this index.
func (r *bucketReader) upTo(index int) (sum uint64) {
	for len(r.deltas) > 0 {
		for r.left == 0 {
			if len(r.spans) == 0 {
				return sum
			}
			r.index += int(r.spans[0].GetOffset())
			r.left = r.spans[0].GetLength()
			r.spans = r.spans[1:]
		}
		if r.index > index {
			return sum
		}
		r.count += r.deltas[0]
		sum += uint64(r.count)
		r.deltas = r.deltas[1:]
		r.index++
		r.left--
	}
	return sum
}
