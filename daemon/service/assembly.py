"""What a daemon is made of, put together: each part hears of what it needs, and of nothing else."""

import asyncio
from dataclasses import dataclass, replace

from daemon.alerts import Alerts
from daemon.config.values import Config
from daemon.copying.entry import DaemonCopies
from daemon.drilling.entry import DaemonDrills
from daemon.fleet.discovery import Discovery
from daemon.fleet.fleet import Fleet
from daemon.fleet.population import Population
from daemon.fleet.share import Share
from daemon.fleet.sharing import Everything, Sharing
from daemon.panel.rate_limiter import undivided
from daemon.proving.entry import DaemonProofs
from daemon.rotation.run import RotationContext
from daemon.rotation.setup import open_client
from daemon.status.fleet_status import FleetStatus
from daemon.status.tracker import StatusTracker
from daemon.web.server import Http


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one daemon."""

    tracker: StatusTracker
    alerts: Alerts
    fleet: Fleet
    drills: DaemonDrills
    beside: tuple[DaemonCopies, DaemonProofs, DaemonDrills]
    http: Http
    sharing: Everything | Sharing
    discovery: Discovery

    def stop_looking(self) -> None:
        """Learn of no more servers, and take no more of the fleet."""
        self.discovery.stop()
        self.sharing.stop()

    async def stop_beside(self) -> None:
        """Stop what goes on beside the rotations."""
        await asyncio.gather(*(one.stop() for one in self.beside))

    async def close(self, flush: float) -> None:
        """Stop everything; alerts have `flush` seconds to be sent."""
        self.stop_looking()
        await self.http.follow(None)
        await self.stop_beside()
        await self.alerts.close(flush)
        await self.fleet.close()


def assembled(config: Config, context: RotationContext) -> Assembly:
    """Put a daemon together; nothing of it runs yet. In a cluster it acts for nothing until it holds something."""
    leadership = context.engine.leadership
    shares, population = leadership.shares, Population()
    share = Share(config) if shares is None else Share(replace(config, servers={}), fleet=False)
    tracker = StatusTracker(context)
    tracker.follow(config)
    alerts = Alerts(config, tracker, share=share)
    open_and_watch = tracker.opening(
        lambda panel: open_client(
            panel, context.clock, hindrance=leadership.hindrance, portion=population.portion if shares else undivided
        )
    )
    fleet = Fleet(config, context, open_and_watch, listeners=[tracker, alerts], share=share.config)
    copying = DaemonCopies(context, fleet.clients)
    proofs = DaemonProofs(context, fleet.clients, fleet.once_more)
    drills = DaemonDrills(context, fleet.clients)
    beside = (copying, proofs, drills)
    for one in beside:
        fleet.listen(one)

    def obey(effective: Config, share: Share) -> None:
        tracker.follow(effective)
        alerts.reload(effective, share)
        fleet.reload(effective, share.config)
        copying.follow(share.config, effective.servers.keys() - share.config.servers.keys())
        proofs.follow(share.config)
        drills.follow(effective if share.fleet else replace(effective, drills={}))

    sharing = (
        Everything(obey)
        if shares is None
        else Sharing(
            shares,
            context,
            fleet.clients,
            population=population,
            obey=obey,
            ended=lambda names: tracker.ended_elsewhere(names - fleet.names),
            at_work=lambda: {*fleet.running(), copying.at_work or "", proofs.at_work or ""},
            at_work_for_all=lambda: drills.at_work is not None,
            leave=fleet.leave_waiting,
        )
    )
    alerts.watch_cluster(sharing.view)
    discovery = Discovery(context.clock, fleet.clients, sharing.follow)
    http = Http(FleetStatus(fleet, tracker, sharing.notes, sharing.holders, sharing.under_way))
    return Assembly(tracker, alerts, fleet, drills, beside, http, sharing, discovery)
