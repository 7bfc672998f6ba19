import { AppRow, EnvRow, FactRow, RouteRow, SecretRow } from './app.ts'
import { DeploymentRow, ReleaseRow, ReplicaRow, StepRow } from './deployment.ts'

export { AppRow, EnvRow, FactRow, RouteRow, SecretRow } from './app.ts'
export {
  DeploymentRow,
  type EnvSnapshot,
  type LastExit,
  ReleaseRow,
  ReplicaRow,
  StepRow,
} from './deployment.ts'

export const kernelEntities = [
  AppRow,
  RouteRow,
  EnvRow,
  SecretRow,
  FactRow,
  DeploymentRow,
  StepRow,
  ReleaseRow,
  ReplicaRow,
]
