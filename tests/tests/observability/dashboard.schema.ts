// What Grafana publishes of the form of dashboards, narrowed to what is used here: panels of three kinds with their own options, queries and
// annotations of Prometheus. In Grafana's types options and queries are open; here they are those of the panel's kind. Not part of the build.
// dashboard.schema.json is made of it in an empty folder:
//
//   npm install @grafana/schema@11.6.0 prometheus-query@npm:@grafana/schema@10.4.0 ts-json-schema-generator@2.4.0 typescript@5
//   npx ts-json-schema-generator --path dashboard.schema.ts --type HotslotDashboard --no-type-check --expose none --jsDoc none
//
// and the one definition taken out of `definitions`, with its keys sorted. (Since 10.4 the queries of Prometheus are in no package of their own.)
import { AnnotationQuery, Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel } from './node_modules/@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen';
import * as Timeseries from './node_modules/@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import * as Heatmap from './node_modules/@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import * as Stat from './node_modules/@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import { PrometheusDataQuery } from './node_modules/prometheus-query/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';

interface Shown<Type extends string, Options, Custom> extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & { defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom } };
  targets: PrometheusDataQuery[];
}
interface PrometheusAnnotation extends AnnotationQuery {
  expr: string;
  step?: string;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
}
export interface HotslotDashboard extends Omit<Dashboard, 'panels' | 'annotations'> {
  annotations: { list: PrometheusAnnotation[] };
  panels: (
    | Shown<'timeseries', Timeseries.Options, Timeseries.FieldConfig>
    | Shown<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
    | Shown<'stat', Stat.Options, {}>
    | RowPanel)[];
}
